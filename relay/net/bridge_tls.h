/* The client's side of TLS to a proxy: context, verification, and why a handshake failed. */
#ifndef NET_BRIDGE_TLS_H
#define NET_BRIDGE_TLS_H

#include "inspect/wire.h"

#include <openssl/types.h>
#include <stddef.h>

/* An SSL object over wire (borrowed) that will accept a certificate for host only. Caller owns;
 * NULL when out of memory. */
SSL *bridge_tls_new(SSL_CTX *ctx, struct wire *wire, const char *host);

/* One clause about a handshake that has failed. Right after it, for OpenSSL's error queue. */
void bridge_tls_failure(const SSL *ssl, const struct wire *wire, char *out, size_t cap);

#endif
