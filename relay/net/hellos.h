/* The socket at which programs say hello (tapline_wire.h). Who says hello asks for nothing, so the
 * relay does not let itself be woken for each: after the first it looks every few milliseconds, as
 * long as there are some, and before it handles anything that came to the control socket later. */
#ifndef NET_HELLOS_H
#define NET_HELLOS_H

#include "net/relay.h"

struct hellos;

/* Make the socket (0600) beside the control socket. What a dead relay left there goes. Returns NULL
 * if there can be none: the programs say hello at the control socket then. Caller owns. */
struct hellos *hellos_open(struct relay *relay, const char *control_path);
void hellos_close(struct hellos *hellos); /* NULL allowed */

/* Handle all that wait, without waiting; what waits at the control socket should have been. NULL
 * allowed, here and below. */
void hellos_hear(struct hellos *hellos);

/* Handle those that were said until then (CLOCK_REALTIME), without waiting: what a process sent
 * before it became another program is told of the program that sent it. */
void hellos_hear_until(struct hellos *hellos, int64_t time_ns);

#endif
