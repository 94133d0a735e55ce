/* Failed file calls gathered by cause: which kind of fault, in whose cache, and one call that
 * stands for all. Used by rules_files.c (which judges them) and remedy.c. */
#ifndef EXPLAIN_FILEFAULT_H
#define EXPLAIN_FILEFAULT_H

#include "explain/rules.h"

enum { FILEFAULT_CACHES = 4, FILEFAULT_GROUPS = 32 };

struct filefault {
        enum finding_code code;
        const struct catalogue_tool *tool; /* NULL: not known */
        const char *mount;                 /* for faults of a whole filesystem, else NULL */
        const struct file_fault *first;    /* stands for all */
        const json_t *last;                /* the newest of them */
        const struct tool_root *root;      /* of first; NULL: known by its name only, or no cache */
        size_t root_len;                   /* of first's path: the part that is the cache's root */
        const struct catalogue_cache *caches[FILEFAULT_CACHES]; /* those hit */
        size_t cache_count;
        size_t count;
        int weight;       /* of first, against others */
        bool needed;      /* at least one of them cannot be done without */
        bool unconnected; /* at least one by a process that never tried to connect */
        bool tried_first; /* all by processes that came through to some host, or never tried */
};

struct filefaults {
        struct filefault groups[FILEFAULT_GROUPS];
        size_t count;
};

/* Sort all file failures of a run into groups; those that mean nothing are left out. */
void filefault_gather(const struct facts *facts, struct filefaults *out);

/* The directory or file at fault: what blocks, or else the deepest that exists, or the path. */
const char *filefault_blocked(const struct filefault *group);
/* The same of one event; "" if it has none. */
const char *filefault_at(const json_t *event);

/* "/home/u/.cache/pypoetry", owned by the caller; NULL if it is no cache (or out of memory). */
char *filefault_root(const struct filefault *group);

/* True if what is at fault is a file and not a directory. */
bool filefault_is_file(const struct filefault *group);

/* Commands and advice (remedy.c). */
void remedy_files(struct draft *d, const struct facts *facts, const struct filefault *group);

#endif
