/* Where programs wait that connect without blocking. The hold is a port on loopback that answers no
 * SYN: a descriptor that is connected to it stays in SYN_SENT, as one whose server is slow. When
 * the upstream is there the relay connects from that port back to the descriptor's (a simultaneous
 * open, RFC 9293 section 3.5), and when it is not, begins to and resets it. No privilege is needed.
 * docs/connect.md. */
#ifndef NET_HOLD_H
#define NET_HOLD_H

#include "net/relay.h"

struct hold; /* relay->hold; NULL: this kernel cannot do it */

/* Open the port on both loopback addresses and try it. Returns NULL where it does not work. */
struct hold *hold_new(void);
void hold_free(struct hold *hold);

/* The port for descriptors that reach 127.0.0.1, or ::1; 0: none. */
uint16_t hold_port(const struct hold *hold, bool by_v6);

/* Is the socket with this address and cookie still waiting at the hold? Asks the kernel
 * (sock_diag(7)). Returns 1, 0, or -errno if the kernel cannot tell. */
int hold_is_waiting(struct hold *hold, const struct wire_addr *client, uint64_t cookie);

/* Begin to connect back. Returns a non-blocking descriptor, now the caller's, or -errno. It becomes
 * writable when both ends are connected. refuse: the other end is to see a failure: close it with
 * SO_LINGER 0 as soon as it is writable; until then the other end still waits. */
int hold_answer(struct hold *hold, const struct wire_addr *client, bool refuse);

/* Is the descriptor of hold_answer connected by now? Returns 1, 0, or -errno. */
int hold_is_answered(int fd);

#endif
