/* Bundles of certificates in PEM: reads them from where clients keep their roots, and writes them
 * with ours added. Holds certificates only: keys and comments in a user's file are left behind. */
#ifndef INSPECT_BUNDLE_H
#define INSPECT_BUNDLE_H

#include <openssl/bio.h>
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

/* The next block of PEM text, decoded into *der, which the caller frees with OPENSSL_free(), and
 * its *len; what is no PEM is passed over. False at the end. pem may be NULL: the end. */
bool bundle_next(BIO *pem, unsigned char **der, size_t *len);

/* The length of the DER SEQUENCE that len bytes begin with, its head included; 0 if they do not. It
 * leaves out what OpenSSL puts behind a "TRUSTED CERTIFICATE". */
size_t bundle_der_len(const unsigned char *der, size_t len);

/* Write ca alone, in DER, to a new file path, readable by all. Returns 0 or -errno. */
int bundle_write_der(X509 *ca, const char *path);

/* Write b (may be NULL) and then ca to a new file path, readable by all. Returns 0 or -errno. */
int bundle_write(const struct bundle *b, X509 *ca, const char *path);

#endif
