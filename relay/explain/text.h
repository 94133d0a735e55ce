/* Small texts for findings: formatted strings, lists of them, times and errnos for people, quoting
 * for a shell. Used by everything in explain/. */
#ifndef EXPLAIN_TEXT_H
#define EXPLAIN_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A growing list; when memory runs out, oom is set and stays set. */
struct text_list {
        char **items; /* owned, each owned */
        size_t count;
        bool oom;
};

/* Returns NULL when out of memory. The caller owns it. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

void text_add(struct text_list *list, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* Add a copy of text unless the list has it. Returns true if it was added. */
bool text_add_once(struct text_list *list, const char *text);
/* As text_add, with the event's time of day in front. */
void text_add_at(struct text_list *list, const json_t *event, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void text_drop_last(struct text_list *list); /* of an empty list: nothing */
void text_list_fini(struct text_list *list);

/* text as one word of a POSIX shell. Caller owns; NULL when out of memory. */
char *text_quote(const char *text);

/* A command as one line of a POSIX shell from a JSON array of strings; "" if it is none. Caller
 * owns; NULL when out of memory. */
char *text_command(const json_t *argv);

/* "host:443", "[2001:db8::1]:443", or the host alone for port 0. Caller owns; NULL when out of
 * memory. */
char *text_endpoint(const char *host, int64_t port);

/* "Permission denied" for "EACCES"; the name itself if it is not known. */
const char *text_errno(const char *name);

/* "13:20:01.123" out of the event's time; blanks if it is none. */
void text_time_of_day(const json_t *event, char out[16]);

/* Print text without what a terminal takes as a command: bytes below 0x20, DEL, and U+0080 to
 * U+009F (0xc2 0x80 to 0x9f) become "?". */
void text_print_clean(FILE *out, const char *text);

/* text as JSON: null for NULL, "?" for what is not UTF-8 (a path from the command line, a text that
 * was cut). Caller owns. */
json_t *text_json(const char *text);

/* "s" unless count is 1. */
const char *text_s(size_t count);

/* Base name of a path, borrowed from it. */
const char *text_base(const char *path);

/* True if path is dir or lies below it. Neither ends in a slash (but for "/"). */
bool text_is_below(const char *path, const char *dir);

#endif
