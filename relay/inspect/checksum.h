/* Checksums of files as indexes and headers write them. Pure. Used by stated.c, the readers of
 * index pages (page.c), promised.c and body_check.c. */
#ifndef INSPECT_CHECKSUM_H
#define INSPECT_CHECKSUM_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

/* In the order of their strength. */
enum checksum_kind { CHECKSUM_NONE, CHECKSUM_SHA1, CHECKSUM_SHA256, CHECKSUM_SHA512 };

struct checksum {
        enum checksum_kind kind;
        unsigned char bytes[64]; /* as many as the kind has */
};

enum { CHECKSUM_HEX = 129, CHECKSUM_TEXT = 7 + CHECKSUM_HEX }; /* "sha512:" before it */

/* Read one of this kind. False, and *sum unchanged, if the text is not well formed. */
bool checksum_from_hex(struct checksum *sum, enum checksum_kind kind, const char *text, size_t len);
bool checksum_from_base64(struct checksum *sum, enum checksum_kind kind, const char *text,
                          size_t len);
/* "sha512-BASE64 sha1-BASE64": the strongest (W3C Subresource Integrity, npm). */
bool checksum_from_integrity(struct checksum *sum, const char *text, size_t len);

/* The stronger of both stays in *sum. */
void checksum_keep(struct checksum *sum, const struct checksum *other);

bool checksum_is_equal(const struct checksum *a, const struct checksum *b);

/* "sha256:HEX", in lower case. */
void checksum_print(const struct checksum *sum, char out[CHECKSUM_TEXT]);
/* The digits alone. */
void checksum_print_hex(const struct checksum *sum, char out[CHECKSUM_HEX]);

const EVP_MD *checksum_md(enum checksum_kind kind);

#endif
