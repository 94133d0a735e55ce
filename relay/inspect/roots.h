/* The roots that each process has loaded, as the library tells: the origins of its connections are
 * verified against just these. Files are read when they are named (a program may remove them at
 * once) and parsed when the first origin has to be verified; processes with the same roots share a
 * store. Bounded: what does not fit is left out, so that less is accepted, never more. */
#ifndef INSPECT_ROOTS_H
#define INSPECT_ROOTS_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <sys/types.h>

enum roots_kind { ROOTS_FILE, ROOTS_DIRECTORY, ROOTS_SYSTEM, ROOTS_CERTIFICATE };

struct roots;

struct roots *roots_new(void); /* NULL when out of memory; caller owns */
void roots_free(struct roots *r);

/* A new program runs as pid: what its predecessor had loaded counts no more. */
void roots_begin(struct roots *r, pid_t pid);

/* pid has loaded these: data is a path, or several directories with colons between (both
 * NUL-terminated), nothing, or the bytes of a certificate (DER or PEM). Returns true if this is new
 * for the process. */
bool roots_add(struct roots *r, pid_t pid, enum roots_kind kind, const char *data, size_t len);

/* A handshake of pid's begins during which it may load roots, or that is over. */
void roots_loading(struct roots *r, pid_t pid, bool begins);
/* Is one under way? Never for longer than ROOTS_LOADING_MS after the last has begun. */
bool roots_is_loading(struct roots *r, pid_t pid);
enum { ROOTS_LOADING_MS = 1000 };

/* What pid trusts, borrowed until the next call of any of these, or NULL: it has told nothing (its
 * TLS is out of the library's reach) and neither has the process that it was forked from. The first
 * call for a set of roots takes some 3 ms for a system's bundle. */
X509_STORE *roots_store(struct roots *r, pid_t pid);

#endif
