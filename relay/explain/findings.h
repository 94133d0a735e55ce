/* The table of findings, and the list that the rules add to. A code's place in the enum is its
 * rank: the stage on the way of a request (open the cache, resolve, proxy, connect, TLS, HTTP, the
 * body, write the cache) at which it stops a run, so also the order in which several must be fixed.
 * Used by rules_*.c. */
#ifndef EXPLAIN_FINDINGS_H
#define EXPLAIN_FINDINGS_H

#include "explain/explain.h"
#include "explain/text.h"

#include <stdint.h>

enum finding_code {
        /* before anything is asked for */
        FINDING_TOO_MANY_OPEN_FILES,
        FINDING_PATH_COMPONENT_NOT_A_DIRECTORY,
        FINDING_CACHE_NOT_READABLE,
        FINDING_NOEXEC,
        FINDING_LOCK_HELD,
        FINDING_LOCKS_UNSUPPORTED,
        FINDING_CLOCK_SKEW,
        /* the way to the host */
        FINDING_RESOLVER_UNREACHABLE,
        FINDING_NAME_NOT_FOUND,
        FINDING_NO_PROXY_MISMATCH,
        FINDING_PROXY_IGNORED_BY_TOOL,
        FINDING_PROXY_UNREACHABLE,
        FINDING_PROXY_AUTH_REQUIRED,
        FINDING_PROXY_AUTH_REJECTED,
        FINDING_PROXY_BLOCK_PAGE,
        FINDING_PROXY_REFUSED_TUNNEL,
        FINDING_SLOW_PROXY,
        FINDING_IPV6_BROKEN,
        FINDING_CONNECTION_REFUSED,
        FINDING_CONNECTION_TIMED_OUT,
        FINDING_HOST_UNREACHABLE,
        /* TLS */
        FINDING_TLS_INTERCEPTED_BY_OTHER,
        FINDING_ORIGIN_CERTIFICATE_EXPIRED,
        FINDING_ORIGIN_CERTIFICATE_NOT_YET_VALID,
        FINDING_ORIGIN_CERTIFICATE_WRONG_NAME,
        FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN,
        FINDING_ORIGIN_UNTRUSTED,
        FINDING_TLS_VERSION_MISMATCH,
        FINDING_CLIENT_DISTRUSTS_TAPLINE,
        /* answers and their bodies */
        FINDING_HTTP_UNAUTHORIZED,
        FINDING_HTTP_FORBIDDEN,
        FINDING_HTTP_NOT_FOUND,
        FINDING_HTTP_GONE,
        FINDING_RATE_LIMITED,
        FINDING_SERVER_ERROR,
        FINDING_REDIRECT_LOOP,
        FINDING_SLOW_ORIGIN,
        FINDING_STALLED_DOWNLOAD,
        FINDING_TRUNCATED_ANSWER,
        FINDING_DIGEST_MISMATCH,
        /* what is done with them */
        FINDING_HOME_MISSING,
        FINDING_HOME_NOT_WRITABLE,
        FINDING_TEMP_NOT_WRITABLE,
        FINDING_READ_ONLY_FILESYSTEM,
        FINDING_DISK_FULL,
        FINDING_INODES_EXHAUSTED,
        FINDING_QUOTA_EXCEEDED,
        FINDING_FILE_TOO_LARGE,
        FINDING_CACHE_OWNED_BY_OTHER_USER,
        FINDING_CACHE_NOT_WRITABLE,
        FINDING_CROSS_DEVICE_RENAME,
        /* the program itself */
        FINDING_OUT_OF_MEMORY_KILL,
        FINDING_KILLED_BY_SIGNAL,
        FINDING_RETRY_STORM,
        FINDING_CLIENT_GAVE_UP,
        FINDING_PROCESS_NOT_COVERED,
        FINDING_CODE_COUNT
};

/* A set of codes. */
#define FINDING_BIT(code) (UINT64_C(1) << (code))

struct finding_kind {
        const char *code; /* also the name of its page: docs/findings/CODE.md */
        enum severity severity;
        uint64_t explained_by; /* where an error of these is found, it is not reported */
        const char *sentence;  /* what it is, for a heading */
        const char *needs;     /* the evidence without which it is not said */
        const char *advice;    /* the remedy where the rule has nothing better */
};

extern const struct finding_kind finding_kinds[FINDING_CODE_COUNT];

/* Faults on the way to a host; faults of files. */
extern const uint64_t finding_network_bits, finding_file_bits;

/* FINDING_CODE_COUNT if there is no such code. */
enum finding_code finding_find(const char *code);

/* One finding while it is being made. */
struct draft {
        enum finding_code code;
        enum severity severity;
        enum confidence confidence;
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

/* Add a finding of the table's severity, certain. Borrowed until the next call; NULL when out of
 * memory. */
struct draft *findings_add(struct findings *findings, enum finding_code code, const json_t *first);

/* True if an error with one of these bits is there. */
bool findings_has_error(const struct findings *findings, uint64_t codes);

/* Drop what others explain, order the rest, move it to *out. Returns 0 or -ENOMEM; empties findings
 * in either case. */
int findings_settle(struct findings *findings, struct explanation *out);

#endif
