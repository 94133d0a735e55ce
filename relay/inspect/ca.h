/* The CA of one run and the leafs it signs (RFC 5280; docs/inspection.md). The keys exist in this
 * process's memory only. P-256; one leaf key for the run; an RSA-2048 leaf key is made on first
 * need. */
#ifndef INSPECT_CA_H
#define INSPECT_CA_H

#include <openssl/ssl.h>
#include <stdbool.h>

struct ca;

/* Make a CA valid from one day ago for two days ahead; its name holds the host's name and the time.
 * Returns NULL with errno. Caller owns. */
struct ca *ca_new(void);
void ca_free(struct ca *ca); /* NULL allowed */

X509 *ca_certificate(const struct ca *ca); /* borrowed */

/* The RSA key takes a tenth of a second to make. Starts that in a thread of its own, at the first
 * call; returns true once the key is there (or could not be made: then ca_use_leaf fails). Never
 * blocks. */
bool ca_prepare_rsa(struct ca *ca);

enum {
        LEAF_RSA = 1, /* for clients that take no ECDSA */
        LEAF_LAX = 2, /* a client that keeps to RFC 5280 has to refuse it, as it would the origin */
};

/* Give ssl a leaf for name (a host name, lower-cased A-label, or an IP literal), cached by name and
 * kind (flags as above; waits for an RSA key if ca_prepare_rsa was not asked before). When origin
 * is not NULL the leaf bears the DNS names and addresses of that certificate, so that a client's
 * check of the name comes out as it would have. Returns 0 or -errno. */
int ca_use_leaf(struct ca *ca, SSL *ssl, const char *name, X509 *origin, unsigned flags);

#endif
