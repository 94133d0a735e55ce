/* URLs; see url.h. */
#include "inspect/url.h"

#include <stdio.h>
#include <string.h>

/* RFC 3986 section 5.2.4, in place, up to a query. */
static void remove_dots(char *path)
{
        char *from = path, *to = path;

        while (*from && *from != '?') {
                size_t len = 1 + strcspn(from + 1, "/?");
                bool up = len == 3 && !strncmp(from, "/..", 3);

                if (up)
                        while (to > path && *--to != '/')
                                ;
                else if (len != 2 || from[1] != '.')
                        to = (char *)memmove(to, from, len) + len;
                from += len;
                /* "/a/." and "/a/b/.." are directories. */
                if ((*from == '\0' || *from == '?') && (up || (len == 2 && from[-1] == '.')))
                        *to++ = '/';
        }
        memmove(to, from, strlen(from) + 1);
}

static bool has_scheme(const char *reference)
{
        size_t len = strspn(reference, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789+-.");

        return len > 0 && reference[len] == ':';
}

bool url_resolve(const char *base, const char *reference, char *out, size_t cap)
{
        const char *host = strstr(base, "://");
        size_t scheme, authority, directory, kept;
        int len;

        if (!host)
                return false;
        scheme = (size_t)(host - base) + 1;
        authority = scheme + 2 + strcspn(host + 3, "/?#");
        directory = authority + strcspn(base + authority, "?#");
        if (has_scheme(reference))
                kept = 0;
        else if (!strncmp(reference, "//", 2))
                kept = scheme;
        else if (*reference == '/')
                kept = authority;
        else {
                while (*reference && *reference != '#' && directory > authority &&
                       *reference != '?' && base[directory - 1] != '/')
                        directory--;
                kept = directory;
        }
        len = snprintf(out, cap, "%.*s%s%.*s", (int)kept, base,
                       kept == authority && *reference != '/' ? "/" : "",
                       (int)strcspn(reference, "#"), reference);
        if (len < 0 || (size_t)len >= cap)
                return false;
        host = strstr(out, "://");
        if (host)
                remove_dots(out + (host - out) + 3 + strcspn(host + 3, "/?"));
        return host != NULL;
}
