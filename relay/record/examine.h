/* Looks at what a program ran into, at once and from outside: the first directory that cannot be
 * written, its owner and mode, the mount and its free space. Adds fields to a file.failure event.
 */
#ifndef RECORD_EXAMINE_H
#define RECORD_EXAMINE_H

#include "record/event.h"

/* path is absolute; pid's credentials decide what can be searched and written; error is the errno
 * of the failed call; writes is false for a failed read. */
void examine_path(struct event *e, pid_t pid, const char *path, int error, bool writes);

#endif
