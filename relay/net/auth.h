/* Credentials for an HTTP proxy: which scheme, which header, whether another try makes sense.
 * Preferred in this order: Negotiate, Digest, Basic. What a proxy wanted is remembered with the
 * hop, so that only its first connection costs a round trip more. No I/O, but for auth_think(). */
#ifndef NET_AUTH_H
#define NET_AUTH_H

#include "net/head.h"
#include "net/upstream.h"

/* What one hop wanted last time. Shared by all threads. */
struct auth_memory;
struct auth_memory *auth_memory_new(void);
void auth_memory_free(struct auth_memory *m); /* NULL allowed */

/* The conversation of one dial with one hop. */
struct auth;

/* method and uri are those of the request, as Digest wants them; copied. hop is borrowed. Returns
 * NULL when out of memory. */
struct auth *auth_new(const struct hop *hop, const char *method, const char *uri);
void auth_free(struct auth *a); /* NULL allowed; wipes */

/* The value for Proxy-Authorization in the next request, or NULL for none. Borrowed until the next
 * call. */
const char *auth_value(const struct auth *a);

enum auth_next {
        AUTH_STOP,  /* nothing more that we could say: the refusal stands */
        AUTH_RETRY, /* ask again with auth_value() */
        AUTH_THINK, /* call auth_think() in another thread, then auth_thought() */
};

/* A 407 has come. */
enum auth_next auth_challenged(struct auth *a, const struct head *head);

/* It answered an unasked request with a refusal other than 407, or closed: some do so to those who
 * bring nothing. RETRY then means Basic without being asked. */
enum auth_next auth_snubbed(struct auth *a);

/* Find the next token of Negotiate. Blocks; uses nothing but a, not even its hop. */
void auth_think(struct auth *a);
/* Back on the loop: what to do now. */
enum auth_next auth_thought(struct auth *a);

/* The request went through: remember how. */
void auth_accepted(struct auth *a);

/* The same for a request that is forwarded as it is. auth_of_request: what to say in it from the
 * start, NULL for nothing; owned by the caller, who wipes it. may_repeat: it can be sent again if
 * that is refused; what cannot says Basic unasked. auth_learn: the 407 to it has come. RETRY: it is
 * to be sent again, for auth_of_request has something new to say. THINK: *talk, now the caller's,
 * is for auth_think(); auth_token() has what to say then, the caller's too, or NULL: there is no
 * ticket, and auth_learn may know something else. *tried is zero at first. */
char *auth_of_request(const struct hop *hop, const char *method, const char *uri, bool may_repeat);
enum auth_next auth_learn(const struct hop *hop, const struct head *head, unsigned *tried,
                          struct auth **talk);
char *auth_token(struct auth *a);

/* The scheme's state hangs on the connection: it must not be dialled afresh for the retry. */
bool auth_needs_same_connection(const struct auth *a);

#endif
