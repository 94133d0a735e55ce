/* The users who may use the relay, from a file of USER:PASSWORD lines, and the comparison with what
 * a client says. The file's contents are kept as digests only. */
#ifndef NET_LOGINS_H
#define NET_LOGINS_H

#include <stdbool.h>
#include <stddef.h>

struct logins;

/* Read path: one USER:PASSWORD a line (the password may hold colons); empty lines and lines that
 * begin with # count for nothing. Returns the logins, owned by the caller, or NULL after writing
 * what is wrong (with the line) into why. A file that others may read is taken, and *open_to_others
 * set. */
struct logins *logins_read(const char *path, bool *open_to_others, char *why, size_t why_cap);
void logins_free(struct logins *l); /* NULL allowed */

/* True for one of the logins. Takes the same time whichever it is, and however nearly it is one. */
bool logins_has(const struct logins *l, const char *user, size_t user_len, const char *password,
                size_t password_len);

/* The same for the value of a Proxy-Authorization field: "Basic ..." (RFC 7617). */
bool logins_has_basic(const struct logins *l, const char *value, size_t len);

#endif
