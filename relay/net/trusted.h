/* What the library says of the roots that a program has loaded: kept for the verification of its
 * origins (inspect/roots.h), and recorded once per process and place. */
#ifndef NET_TRUSTED_H
#define NET_TRUSTED_H

#include "net/relay.h"

/* Get the relay's timer ready. Returns 0 or a libuv error. */
int trusted_init(struct relay *relay);

/* Read the roots of the run, which takes some 50 ms, without holding up the loop: connections of
 * programs that have told none wait for them. */
void trusted_prepare(struct relay *relay);

/* A WIRE_TRUST packet, its length checked against struct wire_trust. */
void trusted_message(struct relay *relay, pid_t pid, const struct wire_trust *trust, size_t len);

/* What the client of flow (a struct flow) trusts as far as is known now, borrowed until the next
 * call, or NULL. Reads first what the library has sent. The shape of intercept_setup's roots. */
X509_STORE *trusted_roots(void *flow);

/* Is its client about to load more? Then the flow is driven again when it has, or after
 * ROOTS_LOADING_MS. The shape of roots_pending. */
bool trusted_pending(void *flow);

#endif
