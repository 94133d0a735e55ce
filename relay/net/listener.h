/* Listening TCP sockets: the private pair on loopback for redirected connections (and for this
 * user's explicit clients), and the addresses of --listen for any explicit client. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/relay.h"

/* Open 127.0.0.1 and, if the machine has it, ::1, both on one port that the kernel chooses; sets
 * relay->private_port. Returns 0 or -errno. */
int listener_open_private(struct relay *relay);

/* Open "ADDR:PORT" or "[V6]:PORT". Prints what is wrong. Returns 0, -EINVAL for an
 * address that is none or not allowed, or -errno. */
int listener_open(struct relay *relay, const char *address);

/* True if connecting there leads to a listener of this relay. */
bool listener_is_own(const struct relay *relay, const struct wire_addr *to);

/* True for a port that this relay listens on. */
bool listener_has_port(const struct relay *relay, uint16_t port);

/* Stop accepting; open connections stay. */
void listener_close_all(struct relay *relay);

#endif
