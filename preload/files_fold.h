/* Equal failures in quick succession: a few are reported, the rest are counted. A program that asks
 * for the same forbidden file ten thousand times shall neither wait for ten thousand messages nor
 * fill the record. What is kept is a hint: a lost or a doubled report does no harm. */
#ifndef PRELOAD_FILES_FOLD_H
#define PRELOAD_FILES_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A failure of this thread; equal to another if all but the limits is. */
struct files_fold {
        const char *name; /* of the call; a literal */
        int error;
        const char *text; /* paths */
        size_t text_len;
        uint32_t most; /* so many may be reported... */
        int within_ms; /* ...in this time */
};

/* May it be reported? If true, *folded is how many were not since the last one that was. Safe in a
 * signal handler and after vfork(2); errno is not touched. */
bool files_fold(const struct files_fold *what, uint32_t *folded);

#endif
