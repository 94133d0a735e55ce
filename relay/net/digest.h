/* HTTP Digest access authentication (RFC 7616, and RFC 2617 without qop), the client's side: MD5,
 * SHA-256 and SHA-512-256, each with -sess; qop auth. Pure but for OpenSSL. */
#ifndef NET_DIGEST_H
#define NET_DIGEST_H

#include "net/challenge.h"

struct digest {
        char realm[256], nonce[512], opaque[512];
        char algorithm[24];  /* as the proxy wrote it; "" when it did not */
        const char *hash;    /* static: OpenSSL's name of it */
        bool sess, qop_auth; /* qop_auth false: the proxy knows no qop */
        bool has_opaque, stale, userhash;
};

/* Read a challenge whose scheme is Digest. Returns false if it asks for what we cannot do. */
bool digest_read(const struct challenge *c, struct digest *out);

struct digest_login {
        const char *user, *password;
        const char *method, *uri;
        const char *cnonce; /* from the client, new for each login */
        unsigned count;     /* how often the nonce was used, this time included */
};

/* The value of Proxy-Authorization, "Digest ..."; owned by the caller, who wipes it. NULL when out
 * of memory or when OpenSSL refuses the hash (MD5 in FIPS mode). */
char *digest_answer(const struct digest *d, const struct digest_login *login);

#endif
