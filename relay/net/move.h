/* One step of moving bytes from one side of a flow to the other: with splice(2) through a pipe,
 * never copied, where nobody has to look; copied once, past its observer, where there is one.
 * Called by tunnel.c, which knows what beginnings, ends and failures mean. */
#ifndef NET_MOVE_H
#define NET_MOVE_H

#include "net/flow.h"

/* What one step of moving came to. */
enum moved {
        MOVED,       /* some bytes went; there may be more */
        IDLE,        /* nothing to read now */
        BLOCKED,     /* the receiver takes no more now */
        ENDED,       /* the sender has ended */
        READ_FAILED, /* errno tells */
        WRITE_FAILED,
};

enum { MOVE_UNREAD = 65536 }; /* bytes of a body, from which on splicing it is worth while */

bool side_is_client(const struct side *side);

/* Read once from from, without blocking, and give to to what it takes; to's queue (side_flush) must
 * be empty. Adds what was read to *moved. Never closes anything. */
enum moved move_some(struct side *from, struct side *to, size_t *moved);

/* The same with splice(2) alone: at most limit bytes are read, all of them of a body that an
 * observer may skip. What an earlier call has left in from's pipe goes first. */
enum moved move_unread(struct side *from, struct side *to, size_t limit, size_t *moved);

/* Give a side's pipe back, or close it if bytes are left in it. */
void move_drop_pipe(struct side *side);

#endif
