/* Equal failures in quick succession: the first is reported, the rest are counted. A program that
 * asks for the same forbidden file ten thousand times shall neither wait for ten thousand messages
 * nor fill the record. What is kept is a hint: a lost or a doubled report does no harm. */
#ifndef PRELOAD_FILES_FOLD_H
#define PRELOAD_FILES_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* May this failure of this thread be reported? text of text_len bytes, name and error make it equal
 * to another. False if an equal one was reported less than within_ms ago. If true, *folded is how
 * many were not since. Safe in a signal handler and after vfork(2); errno is not touched. */
bool files_fold(const char *name, int error, const char *text, size_t text_len, int within_ms,
                uint32_t *folded);

#endif
