/* Clients that speak to the relay as to an HTTP proxy: reads the request's head and acts on it.
 * CONNECT becomes a tunnel; an absolute-form http:// request is rewritten and forwarded, one per
 * connection. */
#ifndef NET_EXPLICIT_H
#define NET_EXPLICIT_H

#include "net/flow.h"

/* Read what has come: it begins as a request does (see front.h). */
void explicit_drive(struct flow *flow);

#endif
