/* Has the kernel ended a process for want of memory? Counted before and after the command. */
#ifndef CLI_OOM_H
#define CLI_OOM_H

#include <stdint.h>

struct oom_count {
        int64_t kills;     /* so far; -1: not known */
        const char *scope; /* "cgroup": of this process's control group; "machine": of all */
};

/* From memory.events (cgroup v2) or memory.oom_control (v1) of our control group, which the command
 * shares, or else from /proc/vmstat. */
void oom_read(struct oom_count *out);

#endif
