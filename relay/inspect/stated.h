/* The SHA-256 that an answer states for its own body, in one of three spellings. Pure. Used by
 * body_check.c, which then compares. */
#ifndef INSPECT_STATED_H
#define INSPECT_STATED_H

#include "inspect/checksum.h"
#include "inspect/http.h"

enum { SHA256_HEX = CHECKSUM_HEX };

/* Repr-Digest (RFC 9530), Digest (RFC 3230), X-Checksum-Sha256 (of artifact servers). False if the
 * head states none that is well formed; hex is in lower case, NUL-terminated. */
bool stated_sha256(const struct http_head *head, char hex[SHA256_HEX]);

#endif
