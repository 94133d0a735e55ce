/* The events that every flow has: upstream when its dial has ended, flow.close at its end.
 * docs/record.md is their schema. */
#ifndef NET_FLOW_EVENT_H
#define NET_FLOW_EVENT_H

#include "net/flow.h"

void flow_event_upstream(const struct flow *flow, const struct dial_result *result);
void flow_event_close(const struct flow *flow, const struct flow_end *end);

#endif
