/* The way out; see way.h. */
#include "cli/way.h"
#include "record/mask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* First of these variables that is set and not empty. */
static const char *first_set(const char *const *names, const char **name)
{
        for (; *names != NULL; names++) {
                const char *value = getenv(*names);

                *name = *names;
                if (value != NULL && value[0] != '\0')
                        return value;
        }
        return NULL;
}

static int from_option(struct way *way, const struct options *o)
{
        const char *why, *from = options_from(o, "upstream");
        char masked[512];

        if (upstream_parse(o->upstream, &way->https, &why) < 0 ||
            upstream_parse(o->upstream, &way->http, &why) < 0) {
                mask_url(o->upstream, strlen(o->upstream), masked, sizeof masked);
                fprintf(stderr, "tapline: %s: '%s' is not an upstream: %s\n", from, masked,
                        why != NULL ? why : strerror(ENOMEM));
                return -1;
        }
        way->from = strdup(strncmp(from, "TAPLINE_", 8) == 0 ? from : "option");
        return 0;
}

/* A proxy of the environment that we cannot use (SOCKS, TLS) is left to the programs: they reach it
 * as any other host. */
static void from_variables(struct upstream **out, const char *const *names, char **from)
{
        const char *name, *why, *value = first_set(names, &name);

        if (value == NULL)
                return;
        if (upstream_parse(value, out, &why) < 0)
                fprintf(stderr, "tapline: note: %s is left to the programs: %s\n", name, why);
        else if (from != NULL && *out != NULL)
                *from = strdup(name);
}

static struct host_list *parse_list(const char *what, const char *text)
{
        char *bad;
        struct host_list *list = host_list_parse(text, &bad);

        if (list == NULL)
                fprintf(stderr,
                        "tapline: %s: '%s' is not a host, .suffix, address, CIDR block or *\n",
                        what, bad != NULL ? bad : text);
        free(bad);
        return list;
}

/* "none" and "loopback" are words for the library, the rest is a list. */
static int read_bypass(struct way *way, const struct options *o)
{
        char *list, *word, *at, *rest;

        way->bypass_none = o->bypass != NULL && strcmp(o->bypass, "none") == 0;
        if (o->bypass == NULL || way->bypass_none)
                return 0;
        at = strdup(o->bypass);
        list = calloc(1, strlen(o->bypass) + 2);
        rest = at;
        while (list != NULL && rest != NULL && (word = strsep(&rest, ", \t")) != NULL) {
                if (strcmp(word, "loopback") == 0)
                        continue;
                strcat(list, word);
                strcat(list, ",");
        }
        way->bypass = list != NULL ? parse_list(options_from(o, "bypass"), list) : NULL;
        free(list);
        free(at);
        return way->bypass != NULL ? 0 : -1;
}

static int read_no_proxy(struct way *way, const struct options *o)
{
        static const char *const names[] = {"no_proxy", "NO_PROXY", NULL};
        const char *name = "no-proxy",
                   *value = o->no_proxy != NULL ? o->no_proxy : first_set(names, &name);
        char *bad = NULL;

        if (value == NULL)
                return 0;
        if (o->no_proxy != NULL) {
                way->no_proxy = parse_list(options_from(o, "no-proxy"), value);
                return way->no_proxy != NULL ? 0 : -1;
        }
        way->no_proxy = host_list_parse(value, &bad);
        if (way->no_proxy == NULL)
                fprintf(stderr, "tapline: note: %s is not used: '%s' is not understood\n", name,
                        bad);
        free(bad);
        return 0;
}

int way_read(struct way *way, const struct options *o)
{
        static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                            NULL};
        static const char *const http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};

        memset(way, 0, sizeof *way);
        if (o->upstream != NULL && from_option(way, o) < 0)
                return -1;
        if (o->upstream == NULL) {
                from_variables(&way->https, https, &way->from);
                from_variables(&way->http, http, NULL);
                way->taken_over = way->https != NULL || way->http != NULL;
        }
        return read_no_proxy(way, o) < 0 || read_bypass(way, o) < 0 ? -1 : 0;
}

void way_free(struct way *way)
{
        upstream_free(way->https);
        upstream_free(way->http);
        host_list_free(way->no_proxy);
        host_list_free(way->bypass);
        free(way->from);
        memset(way, 0, sizeof *way);
}
