/* Small texts for findings: see text.h. */
#include "explain/text.h"
#include "record/reader.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERRNO_MAX = 133 }; /* errno(3): the last one Linux has */

char *text_format(const char *format, ...)
{
        va_list args;
        char *text;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        return text;
}

/* Takes text. */
static void add_take(struct text_list *list, char *text)
{
        char **grown = NULL;

        if (text != NULL)
                grown = reallocarray(list->items, list->count + 1, sizeof *grown);
        if (grown == NULL) {
                list->oom = true;
                free(text);
                return;
        }
        list->items = grown;
        grown[list->count++] = text;
}

void text_add(struct text_list *list, const char *format, ...)
{
        va_list args;
        char *text;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        add_take(list, text);
}

bool text_add_once(struct text_list *list, const char *text)
{
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i], text) == 0)
                        return false;
        text_add(list, "%s", text);
        return !list->oom;
}

void text_time_of_day(const json_t *event, char out[16])
{
        const char *time = event_get_str(event, "time");
        const char *t = time != NULL ? strchr(time, 'T') : NULL;

        snprintf(out, 16, "%-12.12s", t != NULL ? t + 1 : "");
        for (char *c = out; *c != '\0'; c++)
                if (!isprint((unsigned char)*c))
                        *c = ' ';
}

void text_add_at(struct text_list *list, const json_t *event, const char *format, ...)
{
        char time[16], *what;
        va_list args;

        va_start(args, format);
        if (vasprintf(&what, format, args) < 0)
                what = NULL;
        va_end(args);
        text_time_of_day(event, time);
        add_take(list, what != NULL ? text_format("%s  %s", time, what) : NULL);
        free(what);
}

void text_drop_last(struct text_list *list)
{
        if (list->items != NULL && list->count > 0)
                free(list->items[--list->count]);
}

void text_list_fini(struct text_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct text_list){0};
}

/* Single quotes hold everything but themselves (POSIX 2.2.2). */
char *text_quote(const char *text)
{
        size_t quotes = 0, n = 0;
        char *out;

        if (*text != '\0' &&
            text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789_@%+=:,./-")] == '\0')
                return strdup(text);
        for (const char *c = text; *c != '\0'; c++)
                quotes += *c == '\'';
        out = malloc(strlen(text) + 3 * quotes + 3);
        if (out == NULL)
                return NULL;
        out[n++] = '\'';
        for (const char *c = text; *c != '\0'; c++) {
                if (*c == '\'') {
                        memcpy(out + n, "'\\'", 3);
                        n += 3;
                }
                out[n++] = *c;
        }
        out[n++] = '\'';
        out[n] = '\0';
        return out;
}

char *text_command(const json_t *argv)
{
        char *line = strdup("");

        for (size_t i = 0; line != NULL && i < json_array_size(argv); i++) {
                const char *arg = json_string_value(json_array_get(argv, i));
                char *word = text_quote(arg != NULL ? arg : "");
                char *longer =
                        word != NULL ? text_format("%s%s%s", line, i > 0 ? " " : "", word) : NULL;

                free(word);
                free(line);
                line = longer;
        }
        return line;
}

char *text_endpoint(const char *host, int64_t port)
{
        if (port <= 0)
                return strdup(host);
        return text_format(strchr(host, ':') ? "[%s]:%lld" : "%s:%lld", host, (long long)port);
}

const char *text_errno(const char *name)
{
        if (name == NULL)
                return "unknown error";
        for (int error = 1; error <= ERRNO_MAX; error++) {
                const char *known = strerrorname_np(error);

                if (known != NULL && strcmp(known, name) == 0)
                        return strerrordesc_np(error);
        }
        return name;
}

const char *text_s(size_t count)
{
        return count == 1 ? "" : "s";
}

const char *text_base(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash != NULL ? slash + 1 : path;
}

bool text_is_below(const char *path, const char *dir)
{
        size_t len = strlen(dir);

        if (len == 1 && dir[0] == '/')
                return path[0] == '/';
        return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

void text_print_clean(FILE *out, const char *text)
{
        for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
                bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;

                putc(*c < 0x20 || *c == 0x7f || c1 ? '?' : *c, out);
                c += c1;
        }
}

json_t *text_json(const char *text)
{
        json_t *string = text != NULL ? json_string(text) : json_null();

        return string != NULL ? string : json_string("?");
}
