/* The directory for temporary files: whether a failed call speaks against it, how it is broken, and
 * where else temporary files can go. Used by filefault.c, rules_files.c and remedy.c. */
#ifndef EXPLAIN_TEMPORARY_H
#define EXPLAIN_TEMPORARY_H

#include "explain/filefault.h"

/* Does this call, made below the directory for temporary files, say that nothing can be written
 * there? Not if its program has found another place. */
bool temporary_is_broken(const struct facts *facts, const struct file_fault *fault);

/* The sentence for it, with tail before its full stop, and the lasting repair. Caller owns both. */
char *temporary_summary(const struct facts *facts, const json_t *event, const char *tail);
char *temporary_advice(const struct facts *facts, const json_t *event);

/* A directory that is likely to take temporary files: one that no call of the run failed in. As a
 * shell expands it; static. */
const char *temporary_place(const struct facts *facts);

#endif
