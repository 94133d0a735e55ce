/* How often the kernel has ended a program for want of memory (proc(5), cgroups(7)). */
#ifndef CLI_OOM_H
#define CLI_OOM_H

#include <stdint.h>

/* The count of this process's memory cgroup, or, where that keeps none, of the machine. -1: not
 * known. Does not block on anything but files of the kernel. */
int64_t oom_count(void);

#endif
