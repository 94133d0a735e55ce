/* A ring of messages in memory that one process shares with the relay: what a program tells often
 * (the heads of its HTTP) costs it no system call that waits, and the relay no wake-up.
 *
 * The relay makes it when asked (WIRE_RING) and passes it as a descriptor, a sealed
 * memfd_create(2), which the library maps and closes. Only the process that asked writes, one
 * thread at a time; a child after fork(2) asks for one of its own. Only the relay reads, and
 * believes nothing of what it reads. A message lies in a slot: struct ring_slot, then the packet of
 * tapline_wire.h, filled up to a multiple of 8; it may go over the end to the beginning. Positions
 * only grow, modulo 2^32.
 *
 * Others of a process's messages go over the control socket as before: `seq` in their heads says
 * which of two came first. */
#ifndef TAPLINE_RING_H
#define TAPLINE_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RING_DATA 65536u /* a power of two */

enum ring_state {
        RING_WATCHED = 0, /* the relay looks by itself */
        RING_ASLEEP,      /* it does not: send WIRE_BELL behind the message */
        RING_CLOSED,      /* it never will again */
};

struct ring_slot {
        uint32_t len; /* of the packet */
        uint32_t reserved;
};

struct ring {
        _Alignas(64) _Atomic uint32_t written; /* by the program: the end of the last slot */
        _Alignas(64) _Atomic uint32_t read;    /* by the relay: the end of what it has read */
        _Atomic uint32_t state;                /* by the relay: enum ring_state */
        _Alignas(64) unsigned char data[RING_DATA];
};

/* Of a slot with a packet of len bytes. */
static inline uint32_t ring_slot_size(uint32_t len)
{
        return (uint32_t)sizeof(struct ring_slot) + ((len + 7) & ~7u);
}

/* len bytes at a position, over the end if need be. With len 0 the other end may be NULL. */
static inline void ring_copy_in(struct ring *ring, uint32_t at, const void *from, size_t len)
{
        uint32_t offset = at & (RING_DATA - 1);
        size_t first = RING_DATA - offset < len ? RING_DATA - offset : len;

        if (len == 0)
                return;
        memcpy(ring->data + offset, from, first);
        memcpy(ring->data, (const unsigned char *)from + first, len - first);
}

static inline void ring_copy_out(const struct ring *ring, uint32_t at, void *to, size_t len)
{
        uint32_t offset = at & (RING_DATA - 1);
        size_t first = RING_DATA - offset < len ? RING_DATA - offset : len;

        if (len == 0)
                return;
        memcpy(to, ring->data + offset, first);
        memcpy((unsigned char *)to + first, ring->data, len - first);
}

#endif
