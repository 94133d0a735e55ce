/* The events of a record: one table of kinds and fields, and a builder that writes one event as
 * one line of JSON (RFC 8259). Owns spelling, order of the common fields and escaping. Knows
 * nothing of files (writer.h) or of what events mean (explain/). docs/record.md is its schema;
 * a test compares both.
 *
 * Use: fill a struct event on the stack, hand it to record_write():
 *
 *         struct event e;
 *         event_begin(&e, EVENT_CONNECT, who, flow_id);
 *         event_str(&e, "name", name);
 *         event_int(&e, "port", port);
 *         record_write(rec, &e);
 */
#ifndef RECORD_EVENT_H
#define RECORD_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum event_kind {
        EVENT_RUN_START,
        EVENT_PROCESS_START,
        EVENT_PROCESS_UNCOVERED,
        EVENT_NAME_LOOKUP,
        EVENT_CONNECT,
        EVENT_UPSTREAM,
        EVENT_TLS,
        EVENT_TLS_ROOTS,
        EVENT_HTTP_REQUEST,
        EVENT_HTTP_RESPONSE,
        EVENT_HTTP_BODY,
        EVENT_HTTP_GOAWAY,
        EVENT_FLOW_CLOSE,
        EVENT_FILE_FAILURE,
        EVENT_LOCK_WAIT,
        EVENT_TOOL_CLAIM,
        EVENT_RELAY_NOTE,
        EVENT_FINDING,
        EVENT_RUN_END,
        EVENT_KIND_COUNT
};

/* Who an event is about. pid 0: nobody known. Strings are borrowed. */
struct event_who {
        pid_t pid;
        pid_t tid;
        const char *exe;
};

enum { EVENT_CAP = 65536 };

/* One event being built. Fields that would not fit are left out and "clipped":true is added, so
 * that a line is always whole JSON. */
struct event {
        size_t len;
        bool clipped;
        int depth;   /* open objects and arrays below the top */
        int skipped; /* levels opened since one did not fit */
        char text[EVENT_CAP];
};

/* Start an event; time is now (event_begin) or time_ns of CLOCK_REALTIME (event_begin_at). who may
 * be NULL; flow 0 means none. */
void event_begin(struct event *e, enum event_kind kind, const struct event_who *who, uint64_t flow);
void event_begin_at(struct event *e, enum event_kind kind, const struct event_who *who,
                    uint64_t flow, int64_t time_ns);

/* Add a field. A NULL string adds nothing. Bytes that are not UTF-8 become U+FFFD. */
void event_str(struct event *e, const char *key, const char *value);
void event_strn(struct event *e, const char *key, const char *value, size_t len);
void event_int(struct event *e, const char *key, int64_t value);
void event_bool(struct event *e, const char *key, bool value);
void event_ms(struct event *e, const char *key, int64_t microseconds); /* milliseconds, 3 places */

/* Nested values: key is NULL inside an array. Each open needs its close. */
void event_open_object(struct event *e, const char *key);
void event_close_object(struct event *e);
void event_open_array(struct event *e, const char *key);
void event_close_array(struct event *e);

/* Close the line ("}\n"). Returns the text, borrowed from e; *len its length. */
const char *event_finish(struct event *e, size_t *len);

/* "run.start" and so on. */
const char *event_kind_name(enum event_kind kind);

/* "ECONNREFUSED" for an errno, or "E<number>"; static storage. */
const char *event_errno_name(int error);

#endif
