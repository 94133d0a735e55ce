/* New clients: which protocol they speak is told by their first byte, and what every protocol's
 * request leads to is the same from there on. explicit.c reads HTTP, socks_flow.c SOCKS; a
 * redirected program's connection waits here for its announcement. */
#ifndef NET_FRONT_H
#define NET_FRONT_H

#include "net/flow.h"

/* Something may have come from the client of a flow in FLOW_HEAD. */
void front_drive(struct flow *flow);

/* The request did not come in time. */
void front_timeout(struct flow *flow);

/* The choices of ways to a target; NULL: directly. plain: for a request that a proxy is
 * given as it is, without CONNECT. Borrowed from the options under which the flow began. */
const struct upstream *front_way(const struct flow *flow, const char *host, uint16_t port,
                                 bool plain);

/* The client's request names this target: note it, choose the way if none is yet, and record it.
 * Returns false if the target is this relay itself, which would answer itself for ever. */
bool front_target(struct flow *flow, const char *host, uint16_t port, bool plain);

/* The dial of an explicit client's flow has ended well, and the server's side is there: what the
 * client is told before the first byte of the server. */
void front_established(struct flow *flow);

/* It has ended, well or not: start moving bytes, or say why not and close. */
void front_dialled(struct flow *flow, const struct dial_result *result);

#endif
