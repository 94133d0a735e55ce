/* Which of its ways out a flow takes, what becomes of their health, and what that means for its
 * dial. Called by flow.c; flow_choose() stands in flow.h. */
#ifndef NET_WAY_OUT_H
#define NET_WAY_OUT_H

#include "net/flow.h"

/* A dial has ended: remember what that says about the way. Returns true if another one should be
 * tried; flow->via is that one then. */
bool way_next(struct flow *flow, const struct dial_result *result);

/* What to dial. out borrows from flow and authorization. */
void way_request(struct flow *flow, const char *authorization, struct dial_request *out);

#endif
