/* Choices, chains and their health; see upstream.h. The parsing of one URL is in upstream_url.c. */
#include "net/upstream.h"
#include "net/auth.h"
#include "net/upstream_url.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
        DOWN_FIRST_MS = 1000,
        DOWN_MAX_MS = 300000,
};

struct upstream_health {
        bool alone; /* the only choice: there is nothing to take instead */
        _Atomic int64_t until_ms;
        _Atomic unsigned failures; /* in a row */
};

void wipe_free(char *secret)
{
        if (secret != NULL)
                explicit_bzero(secret, strlen(secret));
        free(secret);
}

static void hops_free(struct hop *hop)
{
        while (hop != NULL) {
                struct hop *next = hop->next;

                wipe_free(hop->credentials);
                free(hop->host);
                free(hop->shown);
                SSL_CTX_free(hop->tls);
                auth_memory_free(hop->memory);
                free(hop);
                hop = next;
        }
}

void upstream_free(struct upstream *list)
{
        while (list != NULL) {
                struct upstream *next = list->next;

                hops_free(list->hops);
                free(list->health);
                free(list->shown);
                free(list);
                list = next;
        }
}

static int show(struct upstream *up)
{
        size_t len = sizeof "direct";

        for (const struct hop *hop = up->hops; hop != NULL; hop = hop->next)
                len += strlen(hop->shown) + 1;
        up->shown = malloc(len);
        if (up->shown == NULL)
                return -ENOMEM;
        strcpy(up->shown, up->hops == NULL ? "direct" : "");
        for (const struct hop *hop = up->hops; hop != NULL; hop = hop->next) {
                strcat(up->shown, hop->shown);
                strcat(up->shown, hop->next != NULL ? "," : "");
        }
        return 0;
}

static bool is_direct(const char *text, size_t len)
{
        return len == strlen("direct") && strncasecmp(text, "direct", len) == 0;
}

/* One choice: "direct", or URLs with commas between them. */
static int parse_choice(struct upstream *up, const char *text, size_t len, const char **why)
{
        struct hop **last = &up->hops;
        unsigned count = 0;

        up->health = calloc(1, sizeof *up->health);
        if (up->health == NULL)
                return -ENOMEM;
        if (is_direct(text, len))
                return show(up);
        for (;;) {
                size_t part = 0;
                int result;

                while (part < len && text[part] != ',')
                        part++;
                *why = "a chain is longer than 8 proxies";
                if (count++ == UPSTREAM_HOPS_MAX)
                        return -EINVAL;
                *why = "direct is no part of a chain";
                if (is_direct(text, part))
                        return -EINVAL;
                *last = calloc(1, sizeof **last);
                if (*last == NULL)
                        return -ENOMEM;
                (*last)->memory = auth_memory_new();
                if ((*last)->memory == NULL)
                        return -ENOMEM;
                result = upstream_url_parse(*last, text, part, why);
                if (result < 0)
                        return result;
                last = &(*last)->next;
                if (part == len)
                        return show(up);
                text += part + 1;
                len -= part + 1;
        }
}

static int parse_list(struct upstream **list, const char *text, const char **why)
{
        struct upstream **last = list;
        unsigned count = 0;

        for (;;) {
                size_t len = strcspn(text, "|");
                int result;

                *why = "there are more than 32 to choose from";
                if (count == UPSTREAM_CHOICES_MAX)
                        return -EINVAL;
                *last = calloc(1, sizeof **last);
                if (*last == NULL)
                        return -ENOMEM;
                (*last)->number = count++;
                result = parse_choice(*last, text, len, why);
                if (result < 0)
                        return result;
                last = &(*last)->next;
                if (text[len] == '\0')
                        break;
                text += len + 1;
        }
        (*list)->health->alone = count == 1;
        return 0;
}

int upstream_parse(const char *text, struct upstream **out, const char **why)
{
        int result;

        *out = NULL;
        *why = NULL;
        if (strcasecmp(text, "direct") == 0)
                return 0;
        result = parse_list(out, text, why);
        if (result < 0) {
                upstream_free(*out);
                *out = NULL;
        }
        if (result != -EINVAL)
                *why = NULL;
        return result;
}

bool upstream_needs_tls(const struct upstream *list)
{
        for (; list != NULL; list = list->next)
                for (const struct hop *hop = list->hops; hop != NULL; hop = hop->next)
                        if (hop->scheme == HOP_HTTPS)
                                return true;
        return false;
}

void upstream_set_tls(struct upstream *list, SSL_CTX *tls)
{
        for (; list != NULL; list = list->next)
                for (struct hop *hop = list->hops; hop != NULL; hop = hop->next)
                        if (hop->scheme == HOP_HTTPS && SSL_CTX_up_ref(tls)) {
                                SSL_CTX_free(hop->tls);
                                hop->tls = tls;
                        }
}

bool upstream_is_direct(const struct upstream *up)
{
        return up == NULL || up->hops == NULL;
}

const struct hop *upstream_last(const struct upstream *up)
{
        const struct hop *hop = up != NULL ? up->hops : NULL;

        while (hop != NULL && hop->next != NULL)
                hop = hop->next;
        return hop;
}

bool hop_is_http(const struct hop *hop)
{
        return hop->scheme == HOP_HTTP || hop->scheme == HOP_HTTPS;
}

const struct hop *upstream_http(const struct upstream *up)
{
        const struct hop *last = upstream_last(up);

        return last != NULL && hop_is_http(last) ? last : NULL;
}

bool upstream_resolves(const struct upstream *up)
{
        const struct hop *last = upstream_last(up);

        return last != NULL && last->scheme != HOP_SOCKS4 && last->scheme != HOP_SOCKS5;
}

bool upstream_has(const struct upstream *list, const char *host, uint16_t port)
{
        for (; list != NULL; list = list->next)
                for (const struct hop *hop = list->hops; hop != NULL; hop = hop->next)
                        if (hop->port == port && strcasecmp(hop->host, host) == 0)
                                return true;
        return false;
}

const struct upstream *upstream_pick(const struct upstream *list, uint32_t tried, int64_t now_ms)
{
        const struct upstream *nearest = NULL;

        for (; list != NULL; list = list->next) {
                int64_t until = list->health->until_ms;

                if ((tried >> list->number & 1) != 0)
                        continue;
                if (until <= now_ms)
                        return list;
                if (nearest == NULL || until < nearest->health->until_ms)
                        nearest = list;
        }
        return nearest;
}

bool upstream_is_down(const struct upstream *up, int64_t now_ms)
{
        return up->health->until_ms > now_ms;
}

int64_t upstream_down(const struct upstream *up, int64_t now_ms)
{
        struct upstream_health *h = up->health;
        unsigned failures;
        int64_t ms;

        if (h->alone)
                return 0;
        failures = atomic_fetch_add(&h->failures, 1);
        ms = failures < 16 ? (int64_t)DOWN_FIRST_MS << failures : DOWN_MAX_MS;
        ms = ms < DOWN_MAX_MS ? ms : DOWN_MAX_MS;
        h->until_ms = now_ms + ms;
        return ms;
}

bool upstream_up(const struct upstream *up)
{
        struct upstream_health *h = up->health;

        if (h->failures == 0)
                return false;
        h->until_ms = 0;
        return atomic_exchange(&h->failures, 0) != 0;
}

char *upstream_basic(const char *credentials)
{
        bool colon = strchr(credentials, ':') != NULL;
        size_t len = strlen(credentials) + !colon, prefix = strlen("Basic ");
        char *out = malloc(prefix + (len + 2) / 3 * 4 + 1), *text = malloc(len + 1);

        if (out != NULL && text != NULL) {
                stpcpy(stpcpy(text, credentials), colon ? "" : ":");
                memcpy(out, "Basic ", prefix);
                EVP_EncodeBlock((unsigned char *)out + prefix, (const unsigned char *)text,
                                (int)len);
        } else {
                free(out);
                out = NULL;
        }
        if (text != NULL)
                explicit_bzero(text, len);
        free(text);
        return out;
}
