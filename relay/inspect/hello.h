/* What a ClientHello says (RFC 8446 section 4.1.2, RFC 6066, RFC 7301), as far as it decides how we
 * speak to the origin and with what we answer. Pure: no I/O, no state beyond the struct. */
#ifndef INSPECT_HELLO_H
#define INSPECT_HELLO_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum { HELLO_NAME_CAP = 256 };

struct hello {
        char sni[HELLO_NAME_CAP]; /* lower case, no dot at the end; empty: none */
        bool has_alpn;
        unsigned char
                alpn[32]; /* the part of the client's list that we can inspect, in its order */
        size_t alpn_len;
        int min_version, max_version; /* of TLS 1.2 and 1.3; 0: neither is offered */
        bool wants_status;            /* a stapled OCSP answer (RFC 6066 section 8) */
        bool takes_ecdsa;             /* P-256 with SHA-256 */
};

/* Fill out; call it inside the client-hello callback of ssl. Returns 0, or -EPROTO when an
 * extension is malformed or the name could not be one. */
int hello_read(SSL *ssl, struct hello *out);

/* The parts, on the contents of one extension each (tested and fuzzed on their own). */
int hello_read_sni(struct hello *out, const unsigned char *data, size_t len);
int hello_read_alpn(struct hello *out, const unsigned char *data, size_t len);
int hello_read_versions(struct hello *out, const unsigned char *data, size_t len);

#endif
