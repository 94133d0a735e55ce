/* Java's stores of trusted certificates: reads both forms that JDKs come with (JKS, PKCS #12) and
 * writes JKS, which every JDK reads. Certificates only; no key is ever read or written. */
#ifndef INSPECT_JKS_H
#define INSPECT_JKS_H

#include "inspect/bundle.h"

/* The password that JDKs have for their own store. It protects nothing: it is a checksum's salt. */
#define JKS_PASSWORD "changeit"

/* Add the trusted certificates of the store at path. Returns how many, -errno when it cannot be
 * read, -ENODATA when it is no store that is understood. */
int jks_add(struct bundle *b, const char *path);

/* Write b's certificates and ca to a new store at path, readable by all. Returns 0 or -errno. */
int jks_write(const struct bundle *b, X509 *ca, const char *path);

#endif
