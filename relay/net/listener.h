/* Listening sockets: the private pair on loopback for redirected connections (and for this user's
 * explicit clients), and what --listen names or a service manager passes, for any explicit client.
 * Who may come in is told by door.c. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/relay.h"

/* Open 127.0.0.1 and, if the machine has it, ::1, both on one port that the kernel chooses; sets
 * relay->private_port. Returns 0 or -errno. */
int listener_open_private(struct relay *relay);

/* Open "ADDR:PORT", "[V6]:PORT" or "unix:PATH" (mode 0600; a socket that nobody listens on is
 * replaced). Prints what is wrong. Returns 0, -EINVAL for an address that is none or not allowed,
 * or -errno. */
int listener_open(struct relay *relay, const char *address);

/* Serve on a listening stream socket, which becomes the relay's: the same rules. name is for
 * messages. */
int listener_adopt(struct relay *relay, int fd, const char *name);

/* True if connecting there leads to a listener of this relay. */
bool listener_is_own(const struct relay *relay, const struct wire_addr *to);

/* True for a port that this relay listens on. */
bool listener_has_port(const struct relay *relay, uint16_t port);

/* True for an errno of accept(2) that means: later. The socket is to leave the loop and
 * listener_wait() to be told why, which is noted once a minute. */
bool listener_is_lack(int error);
void listener_wait(struct relay *relay, const char *why);

/* Take clients again where that was put off for want of room. Called when there may be some. */
void listener_resume(struct relay *relay);

/* Take those whose turn was put off to the end of the loop's. */
void listener_take_waiting(struct relay *relay);

/* Stop accepting; open connections stay. */
void listener_close_all(struct relay *relay);

#endif
