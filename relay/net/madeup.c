/* Addresses that stand for names; see madeup.h. */
#include "net/madeup.h"
#include "record/hash.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 65535, CAP_STEP = 256 };

static const uint8_t v4_prefix[2] = {198, 18};
static const uint8_t v6_prefix[8] = {0xfd, 0x74, 0x61, 0x70, 0x6c, 0x69, 0x6e, 0x65};

struct entry {
        char *name;      /* owned */
        uint16_t number; /* from 1: the last two bytes of its addresses */
        UT_hash_handle hh;
};

struct madeup_table {
        struct entry *by_name;    /* owned hash */
        struct entry **by_number; /* owned; entries are by_name's */
        size_t count, cap;
};

struct madeup_table *madeup_new(void)
{
        return calloc(1, sizeof(struct madeup_table));
}

void madeup_free(struct madeup_table *table)
{
        struct entry *e, *next;

        if (table == NULL)
                return;
        HASH_ITER(hh, table->by_name, e, next)
        {
                HASH_DEL(table->by_name, e);
                free(e->name);
                free(e);
        }
        free(table->by_number);
        free(table);
}

/* Letters, digits, hyphens, underscores and dots (RFC 1123, and what is in use); not a literal. */
static bool is_host_name(const char *name)
{
        size_t len = strlen(name);
        bool letter = false;

        for (size_t i = 0; i < len; i++) {
                if (!isalnum((unsigned char)name[i]) && strchr("-_.", name[i]) == NULL)
                        return false;
                letter = letter || isalpha((unsigned char)name[i]);
        }
        return letter && len <= 253;
}

static bool is_wanted(const struct relay *relay, const char *name)
{
        const struct relay_options *o = relay->options;

        if (o->resolve == RELAY_RESOLVE_LOCAL || !is_host_name(name))
                return false;
        if (o->resolve == RELAY_RESOLVE_AUTO && !routing_may_proxy(o->routing, name))
                return false;
        /* Whoever is reached without the upstream is looked up without it too. */
        return routing_may_resolve(o->routing, name) && !host_list_match(o->bypass, name, NULL, 0);
}

static struct entry *add(struct madeup_table *table, const char *name)
{
        struct entry *e, **more;

        if (table->count == NAMES_MAX)
                return NULL;
        if (table->count == table->cap) {
                more = realloc(table->by_number, (table->cap + CAP_STEP) * sizeof *more);
                if (more == NULL)
                        return NULL;
                table->by_number = more;
                table->cap += CAP_STEP;
        }
        e = calloc(1, sizeof *e);
        if (e == NULL || (e->name = strdup(name)) == NULL) {
                free(e);
                return NULL;
        }
        HASH_ADD_KEYPTR(hh, table->by_name, e->name, strlen(e->name), e);
        if (e->hh.tbl == NULL) {
                free(e->name);
                free(e);
                return NULL;
        }
        table->by_number[table->count++] = e;
        e->number = (uint16_t)table->count;
        return e;
}

bool madeup_give(struct relay *relay, const char *name, int family, struct wire_addr *out)
{
        struct entry *e;

        if (!is_wanted(relay, name))
                return false;
        HASH_FIND_STR(relay->madeup->by_name, name, e);
        if (e == NULL)
                e = add(relay->madeup, name);
        if (e == NULL)
                return false;
        memset(out, 0, sizeof *out);
        out->family = family == AF_INET6 ? AF_INET6 : AF_INET;
        memcpy(out->bytes, family == AF_INET6 ? v6_prefix : v4_prefix,
               family == AF_INET6 ? sizeof v6_prefix : sizeof v4_prefix);
        out->bytes[family == AF_INET6 ? 14 : 2] = (uint8_t)(e->number >> 8);
        out->bytes[family == AF_INET6 ? 15 : 3] = (uint8_t)e->number;
        return true;
}

const char *madeup_name(const struct relay *relay, const struct wire_addr *address)
{
        const uint8_t *b = address->bytes;
        bool v6 = address->family == AF_INET6;
        size_t number;

        if (memcmp(b, v6 ? v6_prefix : v4_prefix, v6 ? sizeof v6_prefix : sizeof v4_prefix) != 0)
                return NULL;
        number = (size_t)(v6 ? b[14] << 8 | b[15] : b[2] << 8 | b[3]);
        return number >= 1 && number <= relay->madeup->count
                       ? relay->madeup->by_number[number - 1]->name
                       : NULL;
}
