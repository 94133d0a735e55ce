/* Upstream URLs and host lists; see route.h. */
#include "net/route.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Parse "host", "host:port", "[v6]", "[v6]:port". Copies host; port stays when none is given. */
static int split_host_port(const char *text, size_t len, char **host, uint16_t *port)
{
        const char *end = text + len, *colon;
        const char *host_start = text, *host_end;
        unsigned long value = 0;

        if (len > 0 && text[0] == '[') {
                host_start = text + 1;
                host_end = memchr(text, ']', len);
                if (host_end == NULL)
                        return -EINVAL;
                colon = host_end + 1;
        } else {
                colon = memchr(text, ':', len);
                host_end = colon = colon != NULL ? colon : end;
        }
        if (host_end == host_start || (colon < end && *colon != ':'))
                return -EINVAL;
        for (const char *p = colon + 1; colon < end && p < end; p++) {
                if (!isdigit((unsigned char)*p) ||
                    (value = value * 10 + (unsigned long)(*p - '0')) > 65535)
                        return -EINVAL;
        }
        if (colon < end && value == 0)
                return -EINVAL;
        *port = value != 0 ? (uint16_t)value : *port;
        *host = strndup(host_start, (size_t)(host_end - host_start));
        return *host != NULL ? 0 : -ENOMEM;
}

static int hex_digit(char c)
{
        return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Percent-decoding (RFC 3986 section 2.1) of user and password. */
static char *decode(const char *text, size_t len)
{
        char *out = malloc(len + 1), *to = out;

        if (out == NULL)
                return NULL;
        for (size_t i = 0; i < len; i++) {
                if (text[i] == '%' && i + 2 < len + 0 && isxdigit((unsigned char)text[i + 1]) &&
                    isxdigit((unsigned char)text[i + 2])) {
                        *to++ = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
                        i += 2;
                } else {
                        *to++ = text[i];
                }
        }
        *to = '\0';
        return out;
}

/* What may be shown: the URL with its password masked. */
static char *shown_url(const struct upstream *up)
{
        bool v6 = strchr(up->host, ':') != NULL;
        char *text;

        if (asprintf(&text, "http://%s%s%s%s:%u", up->credentials != NULL ? "***@" : "",
                     v6 ? "[" : "", up->host, v6 ? "]" : "", up->port) < 0)
                return NULL;
        return text;
}

static int parse_authority(struct upstream *up, const char *text, size_t len)
{
        const char *at = memrchr(text, '@', len);
        const char *host = at != NULL ? at + 1 : text;
        int result = split_host_port(host, len - (size_t)(host - text), &up->host, &up->port);

        if (result == 0 && at != NULL)
                up->credentials = decode(text, (size_t)(at - text));
        if (result == 0)
                up->shown = shown_url(up);
        if (result == 0 && (up->shown == NULL || (at != NULL && up->credentials == NULL)))
                return -ENOMEM;
        return result;
}

static const char *scheme_problem(const char *url)
{
        const char *colon = strstr(url, "://");

        if (colon == NULL || strncasecmp(url, "http://", 7) == 0)
                return NULL;
        if (strncasecmp(url, "https://", 8) == 0 || strncasecmp(url, "socks", 5) == 0)
                return "this scheme is not supported yet: use http://HOST:PORT or direct";
        return "the scheme must be http, or the word direct";
}

int upstream_parse(const char *url, struct upstream **out, const char **why)
{
        struct upstream *up;
        size_t len;
        int result;

        *out = NULL;
        *why = scheme_problem(url);
        if (*why != NULL)
                return -EINVAL;
        if (strcasecmp(url, "direct") == 0)
                return 0;
        up = calloc(1, sizeof *up);
        if (up == NULL)
                return -ENOMEM;
        url += strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
        len = strcspn(url, "/?#");
        up->port = 1080; /* as curl has it for a proxy without a port */
        result = url[len] != '\0' && strcmp(url + len, "/") != 0 ? -EINVAL
                                                                 : parse_authority(up, url, len);
        if (result == 0 && strpbrk(up->host, " \t<>\"'\\") != NULL)
                result = -EINVAL;
        if (result < 0) {
                *why = "it must look like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT";
                upstream_free(up);
                return result;
        }
        *out = up;
        return 0;
}

void upstream_free(struct upstream *up)
{
        if (up == NULL)
                return;
        if (up->credentials != NULL)
                explicit_bzero(up->credentials, strlen(up->credentials));
        free(up->credentials);
        free(up->host);
        free(up->shown);
        free(up);
}

char *upstream_basic(const char *credentials)
{
        size_t len = strlen(credentials), prefix = strlen("Basic ");
        char *out = malloc(prefix + (len + 2) / 3 * 4 + 1);

        if (out == NULL)
                return NULL;
        memcpy(out, "Basic ", prefix);
        EVP_EncodeBlock((unsigned char *)out + prefix, (const unsigned char *)credentials,
                        (int)len);
        return out;
}

char *upstream_request(const struct upstream *up, const char *host, uint16_t port,
                       const char *authorization, bool *credentials)
{
        char *own = up->credentials != NULL ? upstream_basic(up->credentials) : NULL;
        const char *auth = own != NULL ? own : authorization;
        bool v6 = strchr(host, ':') != NULL;
        char target[320], *text;

        snprintf(target, sizeof target, v6 ? "[%s]:%u" : "%s:%u", host, port);
        if (asprintf(
                    &text,
                    "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%sProxy-Connection: Keep-Alive\r\n\r\n",
                    target, target, auth != NULL ? "Proxy-Authorization: " : "",
                    auth != NULL ? auth : "", auth != NULL ? "\r\n" : "") < 0)
                text = NULL;
        *credentials = auth != NULL;
        if (own != NULL)
                explicit_bzero(own, strlen(own));
        free(own);
        return text;
}

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
        if (strchr(item, '/') != NULL || split_host_port(item, len, &host, &rule->port) < 0)
                result = -EINVAL;
        else if (!parse_block(rule, host))
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
