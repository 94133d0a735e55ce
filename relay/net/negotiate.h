/* Negotiate (SPNEGO, RFC 4559) through the GSSAPI library of the machine (RFC 2744), which is
 * loaded when a proxy asks for it and may be missing. */
#ifndef NET_NEGOTIATE_H
#define NET_NEGOTIATE_H

#include <stdbool.h>

struct negotiate;

/* True if the library is there; the first call loads it. */
bool negotiate_is_there(void);

/* A new conversation with the service HTTP@host. Returns NULL when out of memory or when the
 * library is not there. */
struct negotiate *negotiate_new(const char *host);
void negotiate_free(struct negotiate *n);

/* The next "Negotiate <token>" for what the proxy has sent (base64; "" at first). Blocks: it may
 * ask a key distribution centre, so it runs in a thread of its own. Owned by the caller; NULL when
 * there is no ticket or the conversation cannot go on. */
char *negotiate_answer(struct negotiate *n, const char *theirs);

#endif
