/* Trust for one run: which roots the client would have used, the merged bundle that adds ours, and
 * the environment variables that point clients at it (a table, one line per variable). Writes only
 * into the run's private directory. docs/inspection.md has the rules. */
#ifndef INSPECT_TRUST_H
#define INSPECT_TRUST_H

#include <openssl/x509.h>

struct trust;

/* Read the user's roots: for each variable of the table the file that it or its fallback names in
 * env (as environ(7)), else the system's default bundle. A file that a variable names and that
 * cannot be read is an error of the client's own: the variable is left alone and *problem says so
 * (owned by the trust; NULL when there was none). Returns 0 and *out (owned), or -errno. */
int trust_load(struct trust **out, char *const env[], const char **problem);
void trust_free(struct trust *t); /* NULL allowed */

/* The store for verifying origins: what at least one of the bundles accepts. Borrowed; NULL without
 * memory. Filled at the first call, which takes some 3 ms for a system's bundle. */
X509_STORE *trust_store(struct trust *t);

/* Write the merged bundles with ca into dir (0700, exists), and call set for each variable to be
 * set in the child. The bundles hold certificates only and may be read by all (apt drops to another
 * user); dir decides who gets there. Returns 0 or -errno. */
int trust_export(const struct trust *t, X509 *ca, const char *dir,
                 void (*set)(void *ctx, const char *name, const char *value), void *ctx);

#endif
