/* Clients that speak to the relay as to a proxy: reads the request's head and acts on it. CONNECT
 * becomes a tunnel; an absolute-form http:// request is rewritten and forwarded, one per
 * connection. */
#ifndef NET_EXPLICIT_H
#define NET_EXPLICIT_H

#include "net/flow.h"

/* Read what has come. Also called for a connection whose announcement is still on its way: nothing
 * is consumed before it is clear that this is a request. */
void explicit_drive(struct flow *flow);

#endif
