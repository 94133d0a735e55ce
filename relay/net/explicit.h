/* Clients that speak to the relay as to an HTTP proxy: reads the request's head and acts on it.
 * CONNECT becomes a tunnel; an absolute-form http:// request is forwarded (forward.h). */
#ifndef NET_EXPLICIT_H
#define NET_EXPLICIT_H

#include "net/flow.h"
#include "net/head.h"

/* Read what has come: it begins as a request does (see front.h). */
void explicit_drive(struct flow *flow);

/* Start dialling for a request's target. plain: it is not CONNECT. */
void explicit_go(struct flow *flow, const struct authority *to, bool plain,
                 const struct head *head);

#endif
