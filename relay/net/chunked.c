/* Chunked bodies; see chunked.h. */
#include "net/chunked.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { SIZE_DIGITS_MAX = 8 }; /* 4 GiB: far more than is ever kept */

static int digit(char c)
{
        return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* A line's end from p on: behind its LF, or NULL. */
static const char *line_end(const char *p, const char *end)
{
        const char *lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

        return lf != NULL ? lf + 1 : NULL;
}

/* The size at p; extensions are passed over. */
static int read_size(const char **p, const char *end, size_t *size)
{
        const char *line = line_end(*p, end), *at = *p;

        *size = 0;
        while (at < end && isxdigit((unsigned char)*at) && at - *p < SIZE_DIGITS_MAX)
                *size = *size << 4 | (size_t)digit(*at++);
        if (at < end && (at == *p || strchr("\r\n; \t", *at) == NULL))
                return -EINVAL;
        if (line == NULL)
                return -EAGAIN;
        *p = line;
        return 0;
}

/* The trailer, and the empty line that ends all. */
static int skip_trailer(const char **p, const char *end)
{
        for (;;) {
                const char *line = line_end(*p, end);
                size_t len = line != NULL ? (size_t)(line - *p) : 0;

                if (line == NULL)
                        return -EAGAIN;
                len -= len > 1 && line[-2] == '\r' ? 2 : 1;
                *p = line;
                if (len == 0)
                        return 0;
        }
}

/* Walk over the chunks; with out, move their data there. *body is what was seen. */
static int walk(const char *data, size_t len, char *out, size_t *body, size_t *used)
{
        const char *p = data, *end = data + len;
        size_t size;
        int result;

        *body = 0;
        for (;;) {
                result = read_size(&p, end, &size);
                if (result < 0 || size == 0)
                        break;
                size_t there = (size_t)(end - p) < size ? (size_t)(end - p) : size;
                if (out != NULL)
                        memmove(out + *body, p, there);
                *body += there;
                p += there;
                if (there < size || line_end(p, end) == NULL)
                        return -EAGAIN;
                if (*p != '\n' && (*p != '\r' || p[1] != '\n'))
                        return -EINVAL;
                p = line_end(p, end);
        }
        if (result == 0)
                result = skip_trailer(&p, end);
        *used = (size_t)(p - data);
        return result;
}

int chunked_decode(char *data, size_t len, int cut, size_t *body_len, size_t *used)
{
        int result = walk(data, len, NULL, body_len, used);

        if (result < 0 && !cut)
                return result;
        result = walk(data, len, data, body_len, used);
        if (result < 0)
                *used = len;
        return 0;
}
