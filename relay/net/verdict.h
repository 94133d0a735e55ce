/* What the library is told of a flow: its state, its original destination, and, for a while after it has
 * failed and gone, the errno. */
#ifndef NET_VERDICT_H
#define NET_VERDICT_H

#include "net/flow.h"

/* The verdict as the library is told. */
void flow_verdict(const struct flow *flow, struct wire_verdict *verdict);

/* Keep the errno of a failed flow by its client's port, until that is used again. Bounded. */
void flow_past_remember(const struct flow *flow);
void flow_past_forget(struct relay *relay, struct port_key key);
/* The errno of a flow that failed a short while ago and is gone, and where it wanted to go; 0: none known. */
int flow_past_verdict(struct relay *relay, struct port_key key, struct wire_addr *peer);
void flow_forget_past(struct relay *relay);

#endif
