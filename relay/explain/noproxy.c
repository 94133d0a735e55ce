/* The no_proxy list: see noproxy.h. Names match themselves and what lies below them; a "*" stands
 * only alone, and there is neither scheme nor semicolon in it (curl(1), NO_PROXY). */
#include "explain/noproxy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A piece of the list. */
struct entry {
        const char *at;
        size_t len;
};

static bool is_name_below(const struct entry *e, const char *host)
{
        size_t len = strlen(host);

        if (e->len == 0 || e->len > len || strncasecmp(host + len - e->len, e->at, e->len) != 0)
                return false;
        return e->len == len || host[len - e->len - 1] == '.';
}

static bool is_in_block(const struct entry *e, const char *host)
{
        char text[64], *slash;
        struct in_addr block, address;
        long bits = 32;

        if (e->len >= sizeof text || inet_pton(AF_INET, host, &address) != 1)
                return false;
        memcpy(text, e->at, e->len);
        text[e->len] = '\0';
        slash = strchr(text, '/');
        if (slash != NULL) {
                *slash = '\0';
                bits = strtol(slash + 1, NULL, 10);
        }
        if (bits < 0 || bits > 32 || inet_pton(AF_INET, text, &block) != 1)
                return false;
        return bits == 0 || ntohl(block.s_addr ^ address.s_addr) >> (32 - bits) == 0;
}

/* "name:port" without its port; an IPv6 literal has more than one colon. */
static void cut_port(struct entry *e)
{
        const char *colon = memchr(e->at, ':', e->len);

        if (colon != NULL && memchr(colon + 1, ':', e->len - (size_t)(colon + 1 - e->at)) == NULL)
                e->len = (size_t)(colon - e->at);
}

static bool matches(struct entry e, const char *host)
{
        cut_port(&e);
        while (e.len > 0 && e.at[0] == '.') {
                e.at++;
                e.len--;
        }
        return (e.len == 1 && e.at[0] == '*') || is_name_below(&e, host) || is_in_block(&e, host);
}

/* What was meant by "*.example", "https://example/", "'example'". */
static struct entry meant(struct entry e)
{
        const char *scheme = memmem(e.at, e.len, "://", 3), *slash;

        if (scheme != NULL) {
                e.len -= (size_t)(scheme + 3 - e.at);
                e.at = scheme + 3;
                slash = memchr(e.at, '/', e.len);
                e.len = slash != NULL ? (size_t)(slash - e.at) : e.len;
        }
        while (e.len > 1 && strchr("*.'\"", e.at[0]) != NULL) {
                e.at++;
                e.len--;
        }
        while (e.len > 1 && strchr(".*/'\"", e.at[e.len - 1]) != NULL)
                e.len--;
        return e;
}

static bool next_entry(const char **list, const char *separators, struct entry *e)
{
        *list += strspn(*list, separators);
        e->at = *list;
        e->len = strcspn(*list, separators);
        *list += e->len;
        return e->len > 0;
}

enum noproxy_match noproxy_find(const char *list, const char *host, const char **entry,
                                size_t *entry_len)
{
        static const char *const separators[] = {", \t", ",; \t|"};
        struct entry e;

        for (int pass = 0; pass < 2; pass++) {
                const char *at = list;

                while (next_entry(&at, separators[pass], &e)) {
                        if (!matches(pass == 0 ? e : meant(e), host))
                                continue;
                        *entry = e.at;
                        *entry_len = e.len;
                        return pass == 0 ? NOPROXY_MATCH : NOPROXY_MEANT;
                }
        }
        return NOPROXY_NONE;
}

/* Append e to out, which has room. */
static void append(char *out, const struct entry *e)
{
        size_t used = strlen(out);

        if (used > 0)
                out[used++] = ',';
        memcpy(out + used, e->at, e->len);
        out[used + e->len] = '\0';
}

char *noproxy_corrected(const char *list)
{
        char *out = calloc(1, strlen(list) + 2);
        struct entry e;

        while (out != NULL && next_entry(&list, ",; \t|", &e)) {
                struct entry right = meant(e);

                append(out, &right);
        }
        return out;
}

char *noproxy_without(const char *list, const char *entry, size_t entry_len)
{
        char *out = calloc(1, strlen(list) + 2);
        struct entry e;

        while (out != NULL && next_entry(&list, ", \t", &e))
                if (e.len != entry_len || strncmp(e.at, entry, entry_len) != 0)
                        append(out, &e);
        return out;
}
