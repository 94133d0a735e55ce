/* Which of its ways out a flow takes, what becomes of their health, and what that means for its
 * dial. Called by flow.c, and by forward*.c for what a dial cannot tell; flow_choose() stands in
 * flow.h. */
#ifndef NET_WAY_OUT_H
#define NET_WAY_OUT_H

#include "net/flow.h"

/* A dial has ended: remember what that says about the way. Returns true if another one should be
 * tried; flow->via is that one then. */
bool way_next(struct flow *flow, struct dial_result *result);

/* What has come of a request in absolute form, if the flow's way has a proxy that takes such: an
 * answer, whatever it says, or none, for this reason. Remembered like what a dial says. */
void way_answered(struct flow *flow);
void way_unanswered(struct flow *flow, const char *why);

/* Close the connection to a proxy that is kept for the client's answer to a 407, if there is one.
 */
void way_drop_spare(struct flow *flow);

/* The flow ends, its dial has: let go of all that was kept for one. */
void way_forget(struct flow *flow);

/* What is kept for the client goes on in another flow. */
void way_hand_over(struct flow *from, struct flow *to);

/* What to dial; the connection that is kept goes with it if it leads there, else it is closed. out
 * borrows from flow and authorization. */
void way_request(struct flow *flow, const char *authorization, struct dial_request *out);

#endif
