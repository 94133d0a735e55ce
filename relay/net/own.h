/* The own address that a redirected program is to see (getsockname(2)): the one that its connection
 * would have without us, but for the port, which is its descriptor's. In this order: what it is
 * bound to; what the connection that was dialled to its destination has; what the route to its
 * destination gives; and where there is none, what we have towards the upstream proxy. */
#ifndef NET_OWN_H
#define NET_OWN_H

#include "net/flow.h"

/* What the flow itself tells. Returns true if that is it, false if a route would be better; *out
 * may then have family 0. Costs a system call at most. */
bool own_of_flow(const struct flow *flow, struct wire_addr *out);

/* What the route to `to` gives; *out stays as it is if there is none. Sends nothing. */
void own_by_route(const struct wire_addr *to, struct wire_addr *out);

#endif
