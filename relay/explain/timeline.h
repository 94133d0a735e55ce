/* A record's events put together as spans of time: processes, connections, requests, lookups, waits
 * for locks, and moments at which a file call failed. Judges no causes; the reports that show a
 * run over time draw it (report_html.c, report_trace.c, report_otlp.c). */
#ifndef EXPLAIN_TIMELINE_H
#define EXPLAIN_TIMELINE_H

#include "explain/facts.h"

enum span_kind {
        SPAN_PROCESS,
        SPAN_CONNECTION,
        SPAN_REQUEST,
        SPAN_LOOKUP,
        SPAN_LOCK,
        SPAN_FILE,
        SPAN_NOTE,
        SPAN_KIND_COUNT
};

#define TIMELINE_NONE SIZE_MAX /* no such span or event */

struct span_key {
        int64_t kind, id;
};

/* Indices are those of the timeline's spans and of the record's events. Times are microseconds
 * since 1970. */
struct span {
        struct span_key key; /* id: of the process, flow or request; else unique in its kind */
        enum span_kind kind;
        int64_t pid;        /* 0: not known */
        const char *exe;    /* borrowed; NULL: not known */
        size_t process;     /* whose it is; of a process, its parent; or NONE */
        size_t connection;  /* a request's; or NONE */
        size_t first, last; /* its events; NONE: a process that never announced itself */
        size_t children;    /* of a process: spans that it has, processes left out */
        int64_t start_us, end_us;
        int64_t part_us; /* connected, or the head of the answer was there; -1: never */
        bool open;       /* the record does not say how it ended */
        bool failed;
        UT_hash_handle hh;
};

struct timeline {
        const struct record_events *events; /* borrowed */
        struct span *spans;                 /* owned; in the order of their first events */
        size_t count;
        size_t *next; /* owned; by event: the span's next event, or NONE */
        struct span *by_key;
        int64_t start_us, end_us; /* of the record */
};

/* Returns 0 or -ENOMEM. timeline_fini in either case. */
int timeline_init(struct timeline *timeline, const struct record_events *events);
void timeline_fini(struct timeline *timeline);

/* "connection" and so on. */
const char *timeline_kind_name(enum span_kind kind);

/* The span's last event of this kind; NULL if it has none. Borrowed. */
const json_t *timeline_event(const struct timeline *timeline, const struct span *span,
                             const char *kind);

/* What the span is, in a few words: "GET https://index.example/", 'mkdir("/x")'. Caller owns; NULL
 * when out of memory. */
char *timeline_title(const struct timeline *timeline, const struct span *span);

/* What came of it: "200 OK", "Permission denied (EACCES)"; "" where nothing is known. Caller owns;
 * NULL when out of memory. */
char *timeline_outcome(const struct timeline *timeline, const struct span *span);

#endif
