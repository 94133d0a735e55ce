/* Names of addresses; see names.h. Two entries per lookup: one for the process, one (pid 0) for any
 * process, since a parent may look up what its child connects to. */
#include "net/names.h"
#include "record/hash.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 4096 };

struct key {
        int32_t pid;
        uint16_t family;
        uint16_t reserved;
        uint8_t bytes[16];
};

struct entry {
        struct key key;
        char *name; /* owned */
        UT_hash_handle hh;
};

struct name_table {
        struct entry *all; /* owned; in order of age */
};

struct name_table *name_table_new(void)
{
        return calloc(1, sizeof(struct name_table));
}

static void drop(struct name_table *table, struct entry *e)
{
        HASH_DEL(table->all, e);
        free(e->name);
        free(e);
}

void name_table_free(struct name_table *table)
{
        struct entry *e, *next;

        if (table == NULL)
                return;
        HASH_ITER(hh, table->all, e, next)
        drop(table, e);
        free(table);
}

static struct key make_key(pid_t pid, const struct wire_addr *address)
{
        struct key key = {.pid = pid, .family = address->family};

        memcpy(key.bytes, address->bytes, address->family == 2 ? 4 : 16);
        return key;
}

static void add(struct name_table *table, pid_t pid, const struct wire_addr *address,
                const char *name)
{
        struct key key = make_key(pid, address);
        struct entry *e;

        HASH_FIND(hh, table->all, &key, sizeof key, e);
        if (e != NULL)
                drop(table, e);
        else if (HASH_COUNT(table->all) >= ENTRIES_MAX)
                drop(table, table->all);
        e = calloc(1, sizeof *e);
        if (e == NULL)
                return;
        e->key = key;
        e->name = strdup(name);
        HASH_ADD(hh, table->all, key, sizeof key, e);
        if (e->hh.tbl == NULL) {
                free(e->name);
                free(e);
        }
}

void name_table_add(struct name_table *table, pid_t pid, const struct wire_addr *address,
                    const char *name)
{
        add(table, pid, address, name);
        add(table, 0, address, name);
}

const char *name_table_find(struct name_table *table, pid_t pid, const struct wire_addr *address)
{
        struct key key = make_key(pid, address);
        struct entry *e;

        HASH_FIND(hh, table->all, &key, sizeof key, e);
        if (e == NULL && pid != 0)
                return name_table_find(table, 0, address);
        return e != NULL ? e->name : NULL;
}
