/* Sessions with origins (RFC 8446 section 2.2, RFC 5077), kept so that the next connection to the
 * same origin costs no certificate check and no signature of its. Only sessions whose certificate
 * was verified get here; their certificate stays readable (SSL_SESSION_get0_peer). Bounded. */
#ifndef INSPECT_RESUME_H
#define INSPECT_RESUME_H

#include <openssl/ssl.h>

struct resume;

enum { RESUME_KEY_CAP = 400 };

struct resume *resume_new(void);    /* NULL when out of memory. Caller owns */
void resume_free(struct resume *r); /* NULL allowed */

/* The session kept under key, borrowed until the next call; NULL: none that may still be used. */
SSL_SESSION *resume_get(struct resume *r, const char *key);

/* Keep session under key, in place of an older one. Takes a reference of its own. */
void resume_put(struct resume *r, const char *key, SSL_SESSION *session);

/* Forget what is kept under key. */
void resume_drop(struct resume *r, const char *key);

#endif
