/* Bundles of certificates in PEM: reads them from where clients keep their roots, and writes them
 * with ours added. Holds certificates only: keys and comments in a user's file are left behind. */
#ifndef INSPECT_BUNDLE_H
#define INSPECT_BUNDLE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

/* PEM blocks of certificates, one after the other. All zero is an empty bundle. */
struct bundle {
        char *pem; /* owned; NULL when empty */
        size_t len;
};

void bundle_fini(struct bundle *b);

/* Add the certificates of path: a file, or a directory as c_rehash(1) makes them. Returns 0, or
 * -errno when path cannot be read or -ENODATA when it holds no certificate. */
int bundle_add(struct bundle *b, const char *path);

/* Add the certificates in data: PEM text, or one in DER. Returns how many, or -ENOMEM. */
int bundle_add_bytes(struct bundle *b, const char *data, size_t len);

/* Add the first of the system's default bundles that exists. Returns as bundle_add. */
int bundle_add_system(struct bundle *b);

/* The length of the PEM block of a certificate that text begins with, without what ends its last
 * line; 0 if it begins with none. */
size_t bundle_block_len(const char *text);

/* The first block of b and, while there is one, the one behind block; *len is its length, in and
 * out. NULL: there is none. */
const char *bundle_first(const struct bundle *b, size_t *len);
const char *bundle_next(const char *block, size_t *len);

/* A block decoded, and its *len. The caller frees it with OPENSSL_free(). NULL: it is no PEM, or
 * there is no memory. */
unsigned char *bundle_decode(const char *block, size_t block_len, size_t *len);

/* The length of the DER SEQUENCE that len bytes begin with, its head included; 0 if they do not. It
 * leaves out what OpenSSL puts behind a "TRUSTED CERTIFICATE". */
size_t bundle_der_len(const unsigned char *der, size_t len);

/* Write ca alone, in DER, to a new file path, readable by all. Returns 0 or -errno. */
int bundle_write_der(X509 *ca, const char *path);

/* Write b (may be NULL) and then ca to a new file path, readable by all. Returns 0 or -errno. */
int bundle_write(const struct bundle *b, X509 *ca, const char *path);

#endif
