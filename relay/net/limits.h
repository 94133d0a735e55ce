/* How many connections there may be, and how long a quiet one stays. */
#ifndef NET_LIMITS_H
#define NET_LIMITS_H

#include "net/flow.h"

/* True if one more client can be served: below max_connections, and with descriptors for both its
 * sides. Pipes that lie idle are given up for it. */
bool limits_has_room(struct relay *relay);

/* Look at one tunnel now: close it if it has been quiet for too long. */
void limits_look(struct flow *flow, int64_t now_us);

/* Turn on TCP keepalive for the server's side, if it is not. */
void limits_probe(struct flow *flow);

/* Look for tunnels that have been quiet for too long, from now on and as often as the limits need
 * it. Called again when the limits have changed. Programs that were redirected are left alone while
 * they are there: they would have no such limit without us. */
void limits_watch(struct relay *relay);

#endif
