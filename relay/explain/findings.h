/* The table of findings, and the list that the rules add to. A code's place in the enum is its
 * rank: the stage on the way of a request (read the cache, resolve, proxy, connect, TLS, write the
 * cache) at which it stops a run, so also the order in which several must be fixed. Used by
 * rules_*.c. */
#ifndef EXPLAIN_FINDINGS_H
#define EXPLAIN_FINDINGS_H

#include "explain/explain.h"
#include "explain/text.h"

#include <stdint.h>

enum finding_code {
        FINDING_PATH_COMPONENT_NOT_A_DIRECTORY,
        FINDING_CACHE_NOT_READABLE,
        FINDING_NAME_NOT_FOUND,
        FINDING_PROXY_UNREACHABLE,
        FINDING_PROXY_AUTH_REQUIRED,
        FINDING_PROXY_AUTH_REJECTED,
        FINDING_PROXY_REFUSED_TUNNEL,
        FINDING_CONNECTION_REFUSED,
        FINDING_CONNECTION_TIMED_OUT,
        FINDING_HOST_UNREACHABLE,
        FINDING_ORIGIN_UNTRUSTED,
        FINDING_CLIENT_DISTRUSTS_TAPLINE,
        FINDING_READ_ONLY_FILESYSTEM,
        FINDING_DISK_FULL,
        FINDING_INODES_EXHAUSTED,
        FINDING_CACHE_OWNED_BY_OTHER_USER,
        FINDING_CACHE_NOT_WRITABLE,
        FINDING_CLIENT_GAVE_UP,
        FINDING_PROCESS_NOT_COVERED,
        FINDING_CODE_COUNT
};

struct finding_kind {
        const char *code;
        enum severity severity;
        /* The causes that explain it, as bits 1u << code: where one of them is found, it is not. */
        uint32_t explained_by;
        const char *advice; /* used where the rule has nothing better; NULL: none */
};

extern const struct finding_kind finding_kinds[FINDING_CODE_COUNT];

/* One finding while it is being made. */
struct draft {
        enum finding_code code;
        enum severity severity;
        char *summary;             /* owned */
        char *advice;              /* owned or NULL */
        struct text_list evidence; /* owned */
        struct text_list commands; /* owned */
        int64_t time_us;           /* of its first event */
};

struct findings {
        struct draft *drafts; /* owned */
        size_t count;
        bool oom;
};

/* Add a finding of the table's severity. Borrowed until the next call; NULL when out of memory. */
struct draft *findings_add(struct findings *findings, enum finding_code code, const json_t *first);

/* True if an error with one of these bits is there. */
bool findings_has_error(const struct findings *findings, uint32_t codes);

/* Drop what others explain, order the rest, move it to *out. Returns 0 or -ENOMEM; empties findings
 * in either case. */
int findings_settle(struct findings *findings, struct explanation *out);

/* All codes that are faults of the network, as bits. */
#define FINDING_BIT(code) (1u << (code))
extern const uint32_t finding_network_bits;

#endif
