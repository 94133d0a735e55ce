/* The way out; see way.h. */
#include "cli/way.h"
#include "cli/netrc.h"
#include "net/bridge.h"
#include "net/upstream_url.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* The message never shows a password. */
static int complain(const char *from, const char *text, const char *why)
{
        char *shown = strdup(text);

        if (shown != NULL)
                upstream_url_hide(shown);
        fprintf(stderr, "tapline: %s: '%s' is not an upstream: %s\n", from,
                shown != NULL ? shown : "", why != NULL ? why : strerror(ENOMEM));
        wipe_free(shown);
        return -1;
}

/* Several options are one chain. Owned by the caller, who wipes it. */
static char *join_chain(char *const *list, const char **why)
{
        size_t len = 1;
        char *text;

        *why = NULL;
        for (size_t i = 0; list[i] != NULL; i++) {
                len += strlen(list[i]) + 1;
                if (list[1] != NULL && strchr(list[i], '|') != NULL)
                        *why = "what is chosen from is written as one: A,C|B,C";
                if (list[1] != NULL && strcasecmp(list[i], "direct") == 0)
                        *why = "direct is no part of a chain";
        }
        text = *why == NULL ? calloc(1, len) : NULL;
        for (size_t i = 0; text != NULL && list[i] != NULL; i++)
                strcat(strcat(text, i > 0 ? "," : ""), list[i]);
        return text;
}

static int from_option(struct way *way, const struct options *o)
{
        const char *why, *from = options_from(o, "upstream");
        char *text = join_chain(o->upstream, &why);
        int result = 0;

        if (text == NULL || upstream_parse(text, &way->https, &why) < 0 ||
            upstream_parse(text, &way->http, &why) < 0)
                result = complain(from, text != NULL ? text : o->upstream[0], why);
        wipe_free(text);
        if (result == 0)
                way->from = strdup(strncmp(from, "TAPLINE_", 8) == 0 ? from : "option");
        return result;
}

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

/* ---- rules ---- */

static int add_rule(struct route ***last, const char *from, const char *text, size_t len)
{
        char *rule = strndup(text, len), why[200] = "out of memory";
        int result = rule != NULL ? route_parse(rule, *last, why, sizeof why) : -ENOMEM;

        if (result == 0)
                *last = &(**last)->next;
        else if (rule != NULL)
                upstream_url_hide(rule);
        if (result < 0)
                fprintf(stderr, "tapline: %s: '%s' is not a route: %s\n", from,
                        rule != NULL ? rule : "", why);
        wipe_free(rule);
        return result;
}

/* One string may hold several, with semicolons between them. */
static int read_rules(struct way *way, const struct options *o)
{
        struct route **last = &way->rules;

        for (size_t i = 0; o->route != NULL && o->route[i] != NULL; i++) {
                const char *text = o->route[i];

                while (*(text += strspn(text, "; \t\n")) != '\0') {
                        size_t len = strcspn(text, ";\n");

                        if (add_rule(&last, options_from(o, "route"), text, len) < 0)
                                return -1;
                        text += len;
                }
        }
        return 0;
}

/* ---- credentials and certificates, for every list there is ---- */

static int each_list(struct way *way, int (*visit)(struct upstream *list, void *ctx), void *ctx)
{
        int result = visit(way->https, ctx);

        if (result == 0)
                result = visit(way->http, ctx);
        for (struct route *r = way->rules; r != NULL && result == 0; r = r->next)
                result = visit(r->via, ctx);
        return result;
}

static int take_login(struct upstream *list, void *netrc)
{
        for (; list != NULL; list = list->next)
                for (struct hop *hop = list->hops; hop != NULL; hop = hop->next) {
                        char *login;

                        if (hop->credentials != NULL && strchr(hop->credentials, ':') != NULL)
                                continue;
                        login = netrc_find(netrc, hop->host, hop->credentials);
                        if (login == NULL)
                                continue;
                        wipe_free(hop->credentials);
                        hop->credentials = login;
                }
        return 0;
}

static int read_netrc(struct way *way, const struct options *o)
{
        const char *from = options_from(o, "netrc");
        char *text;
        int error;

        if (o->netrc == NULL)
                return 0;
        text = netrc_read(o->netrc, &error);
        if (error < 0) {
                fprintf(stderr, "tapline: %s: %s cannot be used: %s\n", from,
                        *o->netrc != '\0' ? o->netrc : "~/.netrc",
                        error == -EPERM ? "it must belong to you and be readable by you alone "
                                          "(chmod 600)"
                                        : strerror(-error));
                return -1;
        }
        if (text == NULL) {
                fprintf(stderr, "tapline: note: %s: there is no %s\n", from,
                        *o->netrc != '\0' ? o->netrc : "~/.netrc");
                return 0;
        }
        each_list(way, take_login, text);
        wipe_free(text);
        return 0;
}

static int set_tls(struct upstream *list, void *tls)
{
        upstream_set_tls(list, tls);
        return 0;
}

static int needs_tls(struct upstream *list, void *ctx)
{
        (void)ctx;
        return upstream_needs_tls(list) ? 1 : 0;
}

static int prepare_tls(struct way *way, const struct options *o)
{
        char why[200];
        SSL_CTX *tls;

        if (each_list(way, needs_tls, NULL) == 0)
                return 0;
        tls = bridge_context_new(o->upstream_ca, why, sizeof why);
        if (tls == NULL) {
                fprintf(stderr, "tapline: %s: %s cannot be used: %s\n",
                        options_from(o, "upstream-ca"),
                        o->upstream_ca != NULL ? o->upstream_ca : "TLS", why);
                return -1;
        }
        each_list(way, set_tls, tls);
        SSL_CTX_free(tls);
        return 0;
}

/* The whole list as it may be shown. */
static char *show(const struct upstream *list)
{
        char *text = NULL, *longer;

        for (; list != NULL; list = list->next) {
                if (asprintf(&longer, "%s%s%s", text != NULL ? text : "", text != NULL ? "|" : "",
                             list->shown) < 0)
                        longer = NULL;
                free(text);
                text = longer;
        }
        return text;
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
        if (read_rules(way, o) < 0 || read_no_proxy(way, o) < 0 || read_bypass(way, o) < 0 ||
            read_netrc(way, o) < 0 || prepare_tls(way, o) < 0)
                return -1;
        way->shown = show(way->https);
        way->routing = (struct routing){way->rules, way->no_proxy, way->https, way->http};
        if (o->password_shown && !o->quiet)
                fputs("tapline: note: a password on a command line can be seen by other users; "
                      "TAPLINE_UPSTREAM, the configuration file and --netrc keep it from them\n",
                      stderr);
        return 0;
}

void way_free(struct way *way)
{
        upstream_free(way->https);
        upstream_free(way->http);
        host_list_free(way->no_proxy);
        host_list_free(way->bypass);
        route_free(way->rules);
        free(way->from);
        free(way->shown);
        memset(way, 0, sizeof *way);
}
