/* A process that has no descriptor left (EMFILE, ENFILE) has none for a message either. Its first
 * such failure is kept and sent as soon as it has closed something. */
#ifndef PRELOAD_FILES_PENDING_H
#define PRELOAD_FILES_PENDING_H

#include "tapline_wire.h"

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>

/* A FILE message; paths are NUL-terminated. */
struct file_packet {
        struct wire_file file;
        char paths[2 * PATH_MAX + 2];
};

enum files_pending_state { FILES_NONE, FILES_TAKING, FILES_KEPT };

extern _Atomic int files_pending_state;

/* Keep a copy of packet, or count it if one is kept already. errno is not touched. */
__attribute__((cold)) void files_pending_keep(const struct file_packet *packet, size_t paths_len);

/* Send what is kept, if it was this process's; a child of fork(2) has a copy. */
__attribute__((cold)) void files_pending_send(void);

/* For a hook that has just closed a descriptor. */
static inline void files_pending_try(void)
{
        if (__builtin_expect(atomic_load_explicit(&files_pending_state, memory_order_relaxed) ==
                                     FILES_KEPT,
                             0))
                files_pending_send();
}

#endif
