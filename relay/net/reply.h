/* What the relay itself says to explicit clients: the 200 to CONNECT, and failures with a true
 * status, a body in plain words and a Proxy-Status field (RFC 9209). */
#ifndef NET_REPLY_H
#define NET_REPLY_H

#include "net/flow.h"

/* Queue "200 Connection established" (RFC 9110 section 9.3.6: no length, no body). */
void reply_established(struct flow *flow);

/* The dial of an explicit client has ended: start moving bytes, or say why not and close. */
void reply_dialled(struct flow *flow, const struct dial_result *result);

/* Refuse a request with status and one sentence, and close. */
__attribute__((format(printf, 3, 4))) void reply_refuse(struct flow *flow, unsigned status,
                                                        const char *format, ...);

/* The head did not come in time: 408, or nothing if not a byte has come. */
void reply_head_timeout(struct flow *flow);

#endif
