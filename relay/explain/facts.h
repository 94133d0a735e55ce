/* An index over a record's events, made in one pass: processes with their tools, flows, hosts and
 * what became of them. Judges nothing; the rules do (rules.h). Everything is borrowed from the
 * events or owned by the index. */
#ifndef EXPLAIN_FACTS_H
#define EXPLAIN_FACTS_H

#include "explain/explain.h"
#include "explain/tools.h"
#include "record/hash.h"

#include <stdint.h>

struct process {
        int64_t pid, ppid;
        const struct catalogue_tool *tool; /* NULL: none known, nor of an ancestor */
        size_t connects;                   /* connections it asked for */
        size_t lookups;
        int64_t answered_us; /* time of the newest of them, or 0 */
        size_t answers; /* HTTP 2xx and 3xx, and unobserved flows on which something came back */
        struct process *next; /* all that there were, also under a pid used again */
        UT_hash_handle hh;
};

/* A target: "name" or "name:port". Times are of the newest success, -1: never. */
struct host {
        char *name;          /* owned */
        int64_t resolved_us; /* a lookup gave addresses */
        int64_t reached_us;  /* a connection was made */
        int64_t answered_us; /* an HTTP answer below 400, or a verified origin */
        int64_t trusted_us;  /* a client took our leaf, or passed through and was answered */
        UT_hash_handle hh;
};

/* An address that a lookup gave. */
struct alias {
        char *address;    /* owned */
        const char *name; /* borrowed */
        UT_hash_handle hh;
};

struct flow {
        int64_t id;
        struct process *process; /* NULL: not known */
        const char *host;        /* name if one is known, else address; NULL: not known */
        const char *address;     /* that the program asked for; NULL: a name, or not known */
        int64_t port;
        const json_t *upstream; /* its last upstream event */
        const json_t *answer;   /* its last response below 400 */
        const json_t *close;
        size_t responses; /* of any status */
        bool broken;      /* a body on it was not read to its end */
        bool tls_failed;  /* a handshake on it failed: bytes that came back mean nothing */
        UT_hash_handle hh;
};

struct request {
        int64_t id;
        const json_t *event;
        UT_hash_handle hh;
};

/* A file.failure with who and what stood behind it when it happened. */
struct file_fault {
        const json_t *event;
        struct process *process;           /* NULL: no pid */
        const struct catalogue_tool *tool; /* of that process */
        const json_t *answer; /* the process's last answer below 400 before it, or NULL */
};

struct facts {
        const struct record_events *events; /* borrowed */
        struct tools tools;
        const json_t *start, *end;                 /* run.start and run.end, or NULL */
        const struct catalogue_tool *tool;         /* of the command */
        struct process *processes, *all_processes; /* by pid; owned list */
        struct host *hosts;
        struct alias *aliases;
        struct flow *flows;
        struct request *requests;
        struct file_fault *faults; /* owned */
        size_t fault_count;
        bool oom;
};

/* Returns 0 or -ENOMEM. facts_fini in either case. */
int facts_init(struct facts *facts, const struct record_events *events,
               const struct catalogue *catalogue);
void facts_fini(struct facts *facts);

/* True if the event is of this kind; if a field of it is this string. NULL events are neither. */
bool event_is(const json_t *event, const char *kind);
bool event_field_is(const json_t *event, const char *key, const char *wanted);

/* "/usr/bin/ping (capabilities)" for an event that names a program that could not be watched, else
 * NULL. Caller owns. */
char *facts_uncovered(const json_t *event);

/* Lookups; NULL if there is none. */
struct flow *facts_flow(const struct facts *facts, const json_t *event);
struct process *facts_process(const struct facts *facts, int64_t pid);
const struct host *facts_host(const struct facts *facts, const char *name, int64_t port);
const json_t *facts_request(const struct facts *facts, const json_t *response);
const json_t *facts_request_numbered(const struct facts *facts, int64_t id);

/* The name behind an address, or the text itself. */
const char *facts_name_of(const struct facts *facts, const char *host);

/* The run's exit status said that it worked; that it failed. Both false: not known. */
bool facts_worked(const struct facts *facts);
bool facts_failed(const struct facts *facts);

#endif
