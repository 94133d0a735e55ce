/* What the library is told of a flow: its state, its original destination and, if it failed, the
 * errno. past.h has those that are gone. */
#ifndef NET_VERDICT_H
#define NET_VERDICT_H

#include "net/flow.h"

void flow_verdict(const struct flow *flow, struct wire_verdict *verdict);

#endif
