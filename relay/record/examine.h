/* Looks at what a program ran into, at once and from outside: the first directory that cannot be
 * written, its owner, mode, access control list and attributes, the mount and its free space. Adds
 * fields to a file.failure event; docs/record.md lists them. */
#ifndef RECORD_EXAMINE_H
#define RECORD_EXAMINE_H

#include "record/event.h"

/* A failed call. */
struct examine_call {
        pid_t pid;         /* whose credentials decide what can be searched and written */
        const char *path;  /* absolute, or NULL if the call has none */
        const char *path2; /* the second one of rename(2) and link(2), or NULL */
        int error;         /* errno */
        enum { EXAMINE_READ, EXAMINE_WRITE, EXAMINE_EXECUTE } intent;
};

/* Never blocks longer than the file system itself does. */
void examine_call(struct event *e, const struct examine_call *call);

#endif
