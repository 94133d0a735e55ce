/* One proxy's URL; see upstream_url.h. */
#include "net/upstream_url.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
        const char *name; /* as it is written */
        enum hop_scheme scheme;
        uint16_t port; /* without one, as curl(1) has it */
} schemes[] = {
        {"http", HOP_HTTP, 1080},       {"https", HOP_HTTPS, 443},
        {"socks5h", HOP_SOCKS5H, 1080}, {"socks5", HOP_SOCKS5, 1080},
        {"socks4a", HOP_SOCKS4A, 1080}, {"socks4", HOP_SOCKS4, 1080},
        {"socks", HOP_SOCKS4, 1080},
};

int split_host_port(const char *text, size_t len, char **host, uint16_t *port)
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

/* Percent-decoding (RFC 3986 section 2.1) of user and password. NULL when out of memory, or with
 * EINVAL for what no protocol can carry. */
static char *decode(const char *text, size_t len)
{
        char *out = malloc(len + 1), *to = out;

        if (out == NULL)
                return NULL;
        for (size_t i = 0; i < len; i++) {
                if (text[i] == '%' && i + 2 < len && isxdigit((unsigned char)text[i + 1]) &&
                    isxdigit((unsigned char)text[i + 2])) {
                        *to++ = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
                        i += 2;
                } else {
                        *to++ = text[i];
                }
                if (iscntrl((unsigned char)to[-1])) {
                        *to = '\0';
                        wipe_free(out);
                        errno = EINVAL;
                        return NULL;
                }
        }
        *to = '\0';
        return out;
}

static const char *scheme_name(enum hop_scheme scheme)
{
        for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
                if (schemes[i].scheme == scheme)
                        return schemes[i].name;
        return "";
}

/* What may be shown: the URL with its credentials masked. */
static char *shown_url(const struct hop *hop)
{
        bool v6 = strchr(hop->host, ':') != NULL;
        char *text;

        if (asprintf(&text, "%s://%s%s%s%s:%u", scheme_name(hop->scheme),
                     hop->credentials != NULL ? "***@" : "", v6 ? "[" : "", hop->host,
                     v6 ? "]" : "", hop->port) < 0)
                return NULL;
        return text;
}

static int parse_authority(struct hop *hop, const char *text, size_t len)
{
        const char *at = memrchr(text, '@', len);
        const char *host = at != NULL ? at + 1 : text;
        int result = split_host_port(host, len - (size_t)(host - text), &hop->host, &hop->port);

        if (result < 0)
                return result;
        if (strpbrk(hop->host, " \t<>\"'\\") != NULL)
                return -EINVAL;
        if (at != NULL && (hop->credentials = decode(text, (size_t)(at - text))) == NULL)
                return errno == EINVAL ? -EINVAL : -ENOMEM;
        hop->shown = shown_url(hop);
        return hop->shown != NULL ? 0 : -ENOMEM;
}

/* Returns what follows the scheme, or NULL for one that is not known. */
static const char *parse_scheme(struct hop *hop, const char *text, size_t len)
{
        const char *colon = memmem(text, len, "://", 3);
        size_t name_len = colon != NULL ? (size_t)(colon - text) : 0;

        hop->scheme = HOP_HTTP;
        hop->port = 1080;
        if (colon == NULL)
                return text;
        for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
                if (strlen(schemes[i].name) != name_len ||
                    strncasecmp(schemes[i].name, text, name_len) != 0)
                        continue;
                hop->scheme = schemes[i].scheme;
                hop->port = schemes[i].port;
                return colon + 3;
        }
        return NULL;
}

/* RFC 1929 and the SOCKS4 user id are what bounds names and passwords for SOCKS. */
static bool fits(const struct hop *hop)
{
        const char *colon = hop->credentials != NULL ? strchr(hop->credentials, ':') : NULL;

        if (hop_is_http(hop) || hop->credentials == NULL)
                return true;
        return colon == NULL ? strlen(hop->credentials) <= 255
                             : colon - hop->credentials <= 255 && strlen(colon + 1) <= 255;
}

int upstream_url_parse(struct hop *hop, const char *text, size_t len, const char **why)
{
        const char *rest = parse_scheme(hop, text, len), *end = text + len, *stop = rest;
        int result;

        if (rest == NULL) {
                *why = "the scheme must be http, https, socks5, socks5h, socks4a or socks4, or the "
                       "way the word direct";
                return -EINVAL;
        }
        *why = "it must look like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT";
        while (stop < end && strchr("/?#", *stop) == NULL)
                stop++;
        if (stop < end && (end - stop != 1 || *stop != '/'))
                return -EINVAL;
        result = parse_authority(hop, rest, (size_t)(stop - rest));
        if (result == 0 && !fits(hop)) {
                *why = "SOCKS takes names and passwords of at most 255 bytes";
                return -EINVAL;
        }
        return result;
}

bool upstream_url_hide(char *text)
{
        bool found = false;

        for (char *part = text; *part != '\0';) {
                size_t len = strcspn(part, ",|");
                char *scheme = memmem(part, len, "://", 3);
                char *user = scheme != NULL ? scheme + 3 : part;
                char *at = memrchr(user, '@', (size_t)(part + len - user));
                char *colon = at != NULL ? memchr(user, ':', (size_t)(at - user)) : NULL;

                if (colon != NULL && at - colon > 1) {
                        size_t rest = strlen(at), keep = at - colon - 1 < 3 ? 1 : 3;

                        memset(colon + 1, '*', keep);
                        memmove(colon + 1 + keep, at, rest);
                        explicit_bzero(colon + 1 + keep + rest, (size_t)(at - (colon + 1 + keep)));
                        len -= (size_t)(at - (colon + 1 + keep));
                        found = true;
                }
                part += len;
                part += *part != '\0' ? 1 : 0;
        }
        return found;
}
