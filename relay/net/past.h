/* What became of redirected connections that are gone, by the program's socket: a program may ask
 * long after (getsockopt(SO_ERROR), getpeername), and a tap's message may come late. */
#ifndef NET_PAST_H
#define NET_PAST_H

#include "net/flow.h"

/* Remember flow, which has a cookie. The oldest is forgotten when there are too many. */
void past_add(const struct flow *flow);

/* Fill verdict as message_peer would have. Returns false, verdict untouched, if it is not known
 * (any more). */
bool past_verdict(struct relay *relay, uint64_t cookie, struct wire_verdict *verdict);

/* Were its requests recorded by the relay? Returns false, *inspected untouched, if it is not known
 * (any more). */
bool past_was_inspected(struct relay *relay, uint64_t cookie, bool *inspected);

void past_forget(struct relay *relay, uint64_t cookie);
void past_forget_all(struct relay *relay);

#endif
