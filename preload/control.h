/* Messages to the relay (tapline_wire.h). Each is a connection of its own that lives for the call:
 * nothing stays open in the program. Raw system calls only; errno is not touched; no allocation. */
#ifndef PRELOAD_CONTROL_H
#define PRELOAD_CONTROL_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* Connect to the relay. Returns a descriptor that the caller closes with control_close, or -errno.
 * Waits at most CONTROL_STALL_MS for a relay that does not answer. */
int control_open(void);
void control_close(int fd);

/* Complete the head (magic, length, thread, time) and send; more may be NULL. Returns 0 or -errno.
 */
int control_send(int fd, enum wire_type type, struct wire_head *head, size_t len);

/* Receive one verdict, waiting at most timeout_ms (0: as long as it takes, or until a signal).
 * Returns 0, -EAGAIN after the timeout, -EINTR, -EPIPE when the relay is gone, or -EPROTO. */
int control_verdict(int fd, struct wire_verdict *verdict, int timeout_ms);

/* Send one message and do not wait. Returns 0 or -errno. */
int control_report(enum wire_type type, struct wire_head *head, size_t len);
/* The same with a second part behind the first. */
int control_report2(enum wire_type type, struct wire_head *head, size_t len, const void *more,
                    size_t more_len);

/* The relay was silent for too long: do without it for a while, so that an event loop is held up
 * once and not at every connection. */
void control_stalled(void);
bool control_is_stalled(void);
int64_t control_now_ms(void); /* of CLOCK_MONOTONIC */

/* The same in parts, the first of which begins with the head. */
int control_report_parts(enum wire_type type, struct iovec *parts, size_t count);
/* Complete the head of such a message only. */
void control_complete(enum wire_type type, struct iovec *parts, size_t count);

/* No relay was there (error: -errno of one of the above) a moment ago: what would be told at every
 * turn need not look for one each time. */
void control_note_absent(int error);
bool control_is_absent(void);

enum {
        CONTROL_STALL_MS = 1000, /* a relay silent for longer is stalled: go on without it */
        CONTROL_EVENT_MS = 250,  /* the same, where the program does not expect to wait */
        CONTROL_AGAIN_MS = 1000, /* how long to do without a stalled relay */
        CONTROL_ABSENT_MS = 100, /* and without one that is not there */
};

#endif
