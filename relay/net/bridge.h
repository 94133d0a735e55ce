/* TLS to a proxy, for a relay that only knows descriptors: after the handshake the bytes are
 * available as plain ones on a descriptor of their own, one end of a TCP connection over loopback
 * whose other end is ours. TCP, not a socket pair: a reset has to arrive as one. */
#ifndef NET_BRIDGE_H
#define NET_BRIDGE_H

#include "net/loop.h"

#include <openssl/types.h>
#include <stddef.h>

struct bridge;

struct bridge_setup {
        int fd;            /* connected to the proxy, non-blocking; taken over */
        SSL_CTX *tls;      /* from bridge_context_new() */
        const char *host;  /* the name or address that the certificate has to be for; copied */
        const char *early; /* bytes that were read from fd before; copied */
        size_t early_len;
};

/* A context that verifies against the file ca, or else the system's roots, and offers http/1.1.
 * Returns NULL with a reason in why. Caller owns. */
SSL_CTX *bridge_context_new(const char *ca, char *why, size_t cap);

/* Shake hands. done is called from the loop, never from here, with a non-blocking descriptor that
 * the callee owns, or with -1, an errno and a reason. The bridge then lives as long as both ends
 * do. bridge_cancel gives up before done. Returns NULL when out of memory; fd is closed then. */
struct bridge *bridge_start(struct loop *loop, const struct bridge_setup *setup,
                            void (*done)(void *ctx, int fd, int error, const char *why), void *ctx);
void bridge_cancel(struct bridge *b);

/* End all that are left in this thread: its loop is about to go. */
void bridge_end_all(void);

#endif
