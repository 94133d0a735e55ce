/* What index pages promise; see promised.h. */
#include "inspect/promised.h"
#include "record/hash.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LEN = 16, REGISTRIES_MAX = 8, URL_CAP = 4096 };

struct entry {
        unsigned char key[KEY_LEN]; /* the URL's SHA-256, cut short: URLs may be long */
        struct checksum sum;
        uint64_t request;
        UT_hash_handle hh;
};

struct registry {
        char *root, *template; /* owned; root ends in a slash */
};

struct promised {
        struct entry *by_url; /* owned hash, in the order of their age */
        struct registry registries[REGISTRIES_MAX];
        unsigned next_registry;
};

struct promised *promised_new(void)
{
        return calloc(1, sizeof(struct promised));
}

static void drop(struct promised *table, struct entry *entry)
{
        HASH_DEL(table->by_url, entry);
        free(entry);
}

void promised_free(struct promised *table)
{
        if (!table)
                return;
        while (table->by_url)
                drop(table, table->by_url);
        for (unsigned i = 0; i < REGISTRIES_MAX; i++) {
                free(table->registries[i].root);
                free(table->registries[i].template);
        }
        free(table);
}

/* A page is its author's: keys that he could make collide would not do. */
static bool make_key(const char *url, unsigned char key[KEY_LEN])
{
        unsigned char digest[EVP_MAX_MD_SIZE];

        if (EVP_Digest(url, strcspn(url, "#"), digest, NULL, EVP_sha256(), NULL) != 1)
                return false;
        memcpy(key, digest, KEY_LEN);
        return true;
}

static struct entry *find(const struct promised *table, const unsigned char key[KEY_LEN])
{
        struct entry *entry;

        HASH_FIND(hh, table->by_url, key, KEY_LEN, entry);
        return entry;
}

void promised_add(struct promised *table, const char *url, const struct checksum *sum,
                  uint64_t request)
{
        struct entry *entry = calloc(1, sizeof *entry), *old;

        if (!entry || !make_key(url, entry->key)) {
                free(entry);
                return;
        }
        entry->sum = *sum;
        entry->request = request;
        old = find(table, entry->key);
        if (old)
                drop(table, old);
        if (HASH_COUNT(table->by_url) == PROMISED_MAX)
                drop(table, table->by_url);
        HASH_ADD(hh, table->by_url, key, KEY_LEN, entry);
        if (!entry->hh.tbl)
                free(entry);
}

bool promised_find(const struct promised *table, const char *url, struct checksum *sum,
                   uint64_t *request)
{
        unsigned char key[KEY_LEN];
        const struct entry *entry;

        if (!table->by_url || !make_key(url, key) || !(entry = find(table, key)))
                return false;
        *sum = entry->sum;
        *request = entry->request;
        return true;
}

void promised_move(struct promised *table, const char *from, const char *to)
{
        struct checksum sum;
        uint64_t request;

        if (promised_find(table, from, &sum, &request))
                promised_add(table, to, &sum, request);
}

/* ---- Cargo ---- */

/* The one with this root, or the one that was set longest ago. */
static struct registry *place_of(struct promised *table, const char *root)
{
        struct registry *r;

        for (unsigned i = 0; i < REGISTRIES_MAX; i++) {
                r = &table->registries[i];
                if (r->root && !strcmp(r->root, root))
                        return r;
        }
        r = &table->registries[table->next_registry];
        table->next_registry = (table->next_registry + 1) % REGISTRIES_MAX;
        return r;
}

void promised_set_registry(struct promised *table, const char *config_url, const char *template)
{
        const char *slash = strrchr(config_url, '/');
        char *root = slash ? strndup(config_url, (size_t)(slash - config_url) + 1) : NULL;
        char *copy = strdup(template);
        struct registry *r;

        if (!root || !copy) {
                free(root);
                free(copy);
                return;
        }
        r = place_of(table, root);
        free(r->root);
        free(r->template);
        r->root = root;
        r->template = copy;
}

static const struct registry *registry_of(const struct promised *table, const char *page_url)
{
        for (unsigned i = 0; i < REGISTRIES_MAX; i++) {
                const struct registry *r = &table->registries[i];

                if (r->root && r->template && !strncmp(page_url, r->root, strlen(r->root)))
                        return r;
        }
        return NULL;
}

/* The directory of a crate in an index: "1", "2", "3/c", "ca/rg". */
static void make_prefix(const char *name, char out[8])
{
        size_t len = strlen(name);

        if (len < 3)
                snprintf(out, 8, "%zu", len);
        else if (len == 3)
                snprintf(out, 8, "3/%c", name[0]);
        else
                snprintf(out, 8, "%.2s/%.2s", name, name + 2);
}

/* template with its markers filled in; without any, "/NAME/VERSION/download" follows it. */
static bool fill_in(const char *template, const char *name, const char *version,
                    const struct checksum *sum, char *out, size_t cap)
{
        char prefix[8], lower[8], digits[CHECKSUM_HEX];
        const struct {
                const char *marker, *value;
        } values[] = {{"{crate}", name},
                      {"{version}", version},
                      {"{prefix}", prefix},
                      {"{lowerprefix}", lower},
                      {"{sha256-checksum}", digits}};
        size_t used = 0;

        make_prefix(name, prefix);
        make_prefix(name, lower);
        for (char *c = lower; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        checksum_print_hex(sum, digits);
        while (*template && used + 1 < cap) {
                size_t i = 0, count = sizeof values / sizeof values[0];

                while (i < count &&
                       strncmp(template, values[i].marker, strlen(values[i].marker)) != 0)
                        i++;
                if (i == count) {
                        out[used++] = *template ++;
                        continue;
                }
                if (used + strlen(values[i].value) + 1 > cap)
                        return false;
                used += (size_t)sprintf(out + used, "%s", values[i].value);
                template += strlen(values[i].marker);
        }
        out[used] = '\0';
        return !*template;
}

void promised_add_crate(struct promised *table, const char *page_url, const char *name,
                        const char *version, const struct checksum *sum, uint64_t request)
{
        const struct registry *r = registry_of(table, page_url);
        char template[URL_CAP], url[URL_CAP];

        if (!r)
                return;
        if (snprintf(template, sizeof template, "%s%s", r->template,
                     strchr(r->template, '{') ? "" : "/{crate}/{version}/download") <
                    (int)sizeof template &&
            fill_in(template, name, version, sum, url, sizeof url))
                promised_add(table, url, sum, request);
}
