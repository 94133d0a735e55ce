/* SOCKS clients of the relay: reads what socks.h parses, answers, and hands the target over. */
#ifndef NET_SOCKS_FLOW_H
#define NET_SOCKS_FLOW_H

#include "net/flow.h"

/* True for the first byte of a SOCKS client. */
bool socks_begins(unsigned char first);

/* Something may have come. flow->kind is FLOW_SOCKS, its state FLOW_HEAD. */
void socks_drive(struct flow *flow);

/* The request did not come in time: close. */
void socks_timeout(struct flow *flow);

/* As front_established and front_dialled. */
void socks_established(struct flow *flow);
void socks_dialled(struct flow *flow, const struct dial_result *result);

#endif
