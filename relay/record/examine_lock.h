/* Who holds a lock that a program waits for: /proc/locks, proc(5). */
#ifndef RECORD_EXAMINE_LOCK_H
#define RECORD_EXAMINE_LOCK_H

#include "record/event.h"

/* Fields holder, holder_exe, holder_argv (masked): the first process but waiter itself that holds a
 * lock on the file with this device and inode. Nothing if none can be seen. */
void examine_lock_write(struct event *e, pid_t waiter, uint64_t device, uint64_t inode);

#endif
