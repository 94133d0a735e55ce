/* Moves the bytes of a flow whose two sides are there (move.c does one step), and passes ends and
 * resets on; TLS that is inspected is inspect/'s. Back-pressure is the kernel's: a side is read
 * only when the other has taken all. */
#ifndef NET_TUNNEL_H
#define NET_TUNNEL_H

#include "net/flow.h"

/* Do what can be done without blocking; events are epoll's, or 0. */
void tunnel_drive(struct flow *flow, uint32_t events);

/* The time limit of an intercepted flow is over. */
void tunnel_timeout(struct flow *flow);

/* Record the flow's plain HTTP from now on (flow->recorder; NULL when out of memory). */
void tunnel_observe(struct flow *flow, const char *scheme);

#endif
