/* What the relay itself says to HTTP clients: the 200 to CONNECT, and failures with a true status,
 * a body in plain words and a Proxy-Status field (RFC 9209). */
#ifndef NET_REPLY_H
#define NET_REPLY_H

#include "net/flow.h"
#include "net/head.h"

/* Queue "200 Connection established" (RFC 9110 section 9.3.6: no length, no body). */
void reply_established(struct flow *flow);

/* The dial of an explicit client has ended: start moving bytes, or say why not. The client's
 * connection ends with that, unless an upstream has asked for credentials (407) and the client may
 * try again. */
void reply_dialled(struct flow *flow, const struct dial_result *result);

/* Refuse a request with status (4xx or 505) and one sentence that begins with "tapline: ", and
 * close. */
__attribute__((format(printf, 3, 4))) void reply_refuse(struct flow *flow, unsigned status,
                                                        const char *format, ...);

/* The same for what is not the client's fault; type is an error type of RFC 9209 section 2.3. */
__attribute__((format(printf, 4, 5))) void reply_fail(struct flow *flow, unsigned status,
                                                      const char *type, const char *format, ...);

/* 407: this relay wants a login. The client's connection stays for the retry if it may and nothing
 * of the request is still to come. */
void reply_ask_for_login(struct flow *flow, const struct head *head);

/* Answer a TRACE or OPTIONS request that goes no further (RFC 9110 section 7.6.2), and close. */
void reply_last_hop(struct flow *flow, const struct head *head);

/* The head did not come in time: 408, or nothing if not a byte has come. */
void reply_head_timeout(struct flow *flow);

#endif
