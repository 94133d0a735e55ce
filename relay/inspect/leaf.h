/* Certificates of this run: builds and signs one, keeps nothing. Used by ca.c only. */
#ifndef INSPECT_LEAF_H
#define INSPECT_LEAF_H

#include <stdbool.h>

#include <openssl/x509.h>

/* A self-signed CA certificate for key, valid from one day ago for two days ahead. Returns NULL
 * when OpenSSL fails. Caller owns. */
X509 *leaf_make_ca(EVP_PKEY *key);

/* A server certificate for key, signed by issuer_key in the name of issuer; names as in
 * ca_use_leaf. One that is not strict has no authority key identifier. Returns NULL when OpenSSL
 * fails. Caller owns. */
X509 *leaf_make(X509 *issuer, EVP_PKEY *issuer_key, EVP_PKEY *key, const char *name, X509 *origin,
                bool strict);

#endif
