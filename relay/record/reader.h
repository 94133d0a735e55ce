/* Reads a record back: checks every line, keeps the events in order. Used by explain/ and the
 * tests. Uses jansson. Records come from users, so nothing in one is trusted: a field is read
 * through the event_get_ functions, which check its type. */
#ifndef RECORD_READER_H
#define RECORD_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_events {
        json_t **items; /* owned; each an object with "event" and "time" strings */
        size_t count;
        bool truncated;   /* the last line was cut short (and left out) */
        size_t bad_lines; /* whole lines that were not events (left out) */
};

/* Read path. Returns 0; -EINVAL when the file is not a record (its first whole line is not an
 * event, or it has no whole line), -ENODATA when it is empty, or -errno. *out is empty then. The
 * caller frees with record_events_free. */
int record_read(const char *path, struct record_events *out);
void record_events_free(struct record_events *events);

/* The event on a line, which ends with a newline or at len; NULL if it is none. The caller owns it.
 */
json_t *record_parse(const char *line, size_t len);

/* A field of an event, or the fallback if it is absent or of another type. Strings are borrowed
 * from the event. */
const char *event_get_str(const json_t *event, const char *key); /* NULL */
int64_t event_get_int(const json_t *event, const char *key, int64_t fallback);
bool event_get_bool(const json_t *event, const char *key, bool fallback);

/* The event's time in microseconds since 1970, or -1 if it is not RFC 3339 in UTC. */
int64_t event_get_time_us(const json_t *event);

#endif
