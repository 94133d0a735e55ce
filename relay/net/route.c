/* Host lists and the choice by them; see route.h. */
#include "net/route.h"
#include "net/upstream_url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct host_rule {
        struct host_rule *next;
        char *name; /* owned; without leading dots; NULL for addresses; "*" for all */
        int family; /* of block; 0 for names */
        unsigned bits;
        unsigned char block[16];
        uint16_t port; /* 0: any */
};

struct host_list {
        struct host_rule *first;
};

/* Address or CIDR block. Returns false if text is neither. */
static bool parse_block(struct host_rule *rule, const char *text)
{
        char address[64];
        size_t len = strcspn(text, "/");
        char *end = NULL;

        if (len >= sizeof address)
                return false;
        memcpy(address, text, len);
        address[len] = '\0';
        rule->family = inet_pton(AF_INET, address, rule->block) == 1    ? AF_INET
                       : inet_pton(AF_INET6, address, rule->block) == 1 ? AF_INET6
                                                                        : 0;
        rule->bits = rule->family == AF_INET ? 32 : 128;
        if (rule->family == 0 || text[len] == '\0')
                return rule->family != 0;
        errno = 0;
        unsigned long bits = strtoul(text + len + 1, &end, 10);
        if (text[len + 1] == '\0' || *end != '\0' || bits > rule->bits)
                return false;
        rule->bits = (unsigned)bits;
        return true;
}

static int parse_rule(struct host_rule *rule, const char *text, size_t len)
{
        char *item = strndup(text, len), *host = NULL;
        int result = 0;

        if (item == NULL)
                return -ENOMEM;
        if (parse_block(rule, item)) {
                free(item);
                return 0;
        }
        rule->family = 0;
        if (split_host_port(item, len, &host, &rule->port) < 0)
                result = -EINVAL;
        else if (!parse_block(rule, host) && (rule->family = 0, strchr(host, '/') == NULL))
                rule->name = strdup(host + strspn(host, "."));
        if (result == 0 && rule->family == 0 && (rule->name == NULL || rule->name[0] == '\0'))
                result = -EINVAL;
        free(host);
        free(item);
        return result;
}

struct host_list *host_list_parse(const char *text, char **bad)
{
        struct host_list *list = calloc(1, sizeof *list);
        struct host_rule **last = list != NULL ? &list->first : NULL;

        *bad = NULL;
        while (list != NULL && *(text += strspn(text, ", \t")) != '\0') {
                size_t len = strcspn(text, ", \t");
                struct host_rule *rule = calloc(1, sizeof *rule);
                int result = rule == NULL ? -ENOMEM : (*last = rule, parse_rule(rule, text, len));

                if (result < 0) {
                        *bad = strndup(text, len);
                        host_list_free(list);
                        errno = -result;
                        return NULL;
                }
                last = &rule->next;
                text += len;
        }
        return list;
}

void host_list_free(struct host_list *list)
{
        if (list == NULL)
                return;
        for (struct host_rule *rule = list->first, *next; rule != NULL; rule = next) {
                next = rule->next;
                free(rule->name);
                free(rule);
        }
        free(list);
}

static bool in_block(const struct host_rule *rule, const char *address)
{
        unsigned char bytes[16];
        unsigned whole = rule->bits / 8, rest = rule->bits % 8;

        if (inet_pton(rule->family, address, bytes) != 1 || memcmp(bytes, rule->block, whole) != 0)
                return false;
        return rest == 0 || (bytes[whole] ^ rule->block[whole]) >> (8 - rest) == 0;
}

/* The name itself or a name below it. */
static bool in_domain(const char *domain, const char *name)
{
        size_t domain_len = strlen(domain), len = strlen(name);

        len -= len > 0 && name[len - 1] == '.' ? 1 : 0;
        if (domain_len > len || strncasecmp(name + len - domain_len, domain, domain_len) != 0)
                return false;
        return domain_len == len || name[len - domain_len - 1] == '.';
}

static bool rule_match(const struct host_rule *rule, const char *name, const char *address,
                       uint16_t port)
{
        if (rule->port != 0 && rule->port != port)
                return false;
        if (rule->family != 0)
                return (address != NULL && in_block(rule, address)) ||
                       (name != NULL && in_block(rule, name));
        if (strcmp(rule->name, "*") == 0)
                return true;
        return name != NULL && in_domain(rule->name, name);
}

bool host_list_match(const struct host_list *list, const char *name, const char *address,
                     uint16_t port)
{
        for (const struct host_rule *rule = list != NULL ? list->first : NULL; rule != NULL;
             rule = rule->next)
                if (rule_match(rule, name, address, port))
                        return true;
        return false;
}

int route_parse(const char *text, struct route **out, char *why, size_t cap)
{
        const char *equals = strchr(text, '='), *problem = NULL;
        struct route *r = calloc(1, sizeof *r);
        char *list, *bad = NULL;
        int result;

        *out = NULL;
        if (r == NULL)
                return -ENOMEM;
        list = strndup(text, equals != NULL ? (size_t)(equals - text) : 0);
        r->match = list != NULL && *list != '\0' ? host_list_parse(list, &bad) : NULL;
        result = r->match == NULL || r->match->first == NULL ? -EINVAL : 0;
        if (result < 0)
                snprintf(why, cap, "%s%s%s", bad != NULL ? "'" : "",
                         bad != NULL ? bad : "it must be LIST=UPSTREAM",
                         bad != NULL ? "' is not a host, .suffix, address, CIDR block or *" : "");
        else
                result = upstream_parse(equals + 1, &r->via, &problem);
        if (problem != NULL)
                snprintf(why, cap, "%s", problem);
        free(bad);
        free(list);
        if (result < 0)
                route_free(r);
        else
                *out = r;
        return result;
}

void route_free(struct route *list)
{
        while (list != NULL) {
                struct route *next = list->next;

                host_list_free(list->match);
                upstream_free(list->via);
                free(list);
                list = next;
        }
}

const struct upstream *routing_list(const struct routing *r, bool plain, const char *name,
                                    const char *address, uint16_t port)
{
        for (const struct route *rule = r->rules; rule != NULL; rule = rule->next)
                if (host_list_match(rule->match, name, address, port))
                        return rule->via;
        if (host_list_match(r->no_proxy, name, address, port))
                return NULL;
        return plain ? r->http : r->https;
}

/* One of the choices looks names up itself. */
static bool one_resolves(const struct upstream *list)
{
        while (list != NULL && !upstream_resolves(list))
                list = list->next;
        return list != NULL;
}

bool routing_may_proxy(const struct routing *r, const char *name)
{
        bool any = one_resolves(r->https) || one_resolves(r->http);

        for (const struct route *rule = r->rules; rule != NULL; rule = rule->next)
                any = any || one_resolves(rule->via);
        return any && routing_may_resolve(r, name);
}

bool routing_may_resolve(const struct routing *r, const char *name)
{
        for (const struct route *rule = r->rules; rule != NULL; rule = rule->next)
                if (host_list_match(rule->match, name, NULL, 0))
                        return rule->via != NULL;
        return !host_list_match(r->no_proxy, name, NULL, 0);
}

bool routing_is_proxy(const struct routing *r, const char *host, uint16_t port)
{
        for (const struct route *rule = r->rules; rule != NULL; rule = rule->next)
                if (upstream_has(rule->via, host, port))
                        return true;
        return upstream_has(r->https, host, port) || upstream_has(r->http, host, port);
}
