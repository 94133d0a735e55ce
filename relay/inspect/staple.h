/* The OCSP answer that an origin staples to its certificate (RFC 6960, RFC 8446 section 4.4.2.1). A
 * leaf of ours cannot carry it on, so what it says is checked here for clients that asked for one.
 */
#ifndef INSPECT_STAPLE_H
#define INSPECT_STAPLE_H

#include <openssl/ssl.h>

enum staple {
        STAPLE_NONE,     /* the origin sent none, and its certificate does not promise one */
        STAPLE_MISSING,  /* none, though the certificate says that there must be one (RFC 7633) */
        STAPLE_GOOD,     /* signed by the issuer, of our time: not revoked */
        STAPLE_REVOKED,  /* the same: revoked */
        STAPLE_UNUSABLE, /* malformed, of another time, signed by nobody that counts, or unknown */
};

/* Judge what the origin of a finished and verified handshake sent; SSL_set_tlsext_status_type had
 * asked for it. store holds the roots. */
enum staple staple_judge(SSL *ssl, X509_STORE *store);

#endif
