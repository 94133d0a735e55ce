/* SHA-256 of bodies that are streamed by (FIPS 180-4), for the record. Used by recorder.c. */
#ifndef INSPECT_DIGEST_H
#define INSPECT_DIGEST_H

#include <stddef.h>

struct digest;

enum { DIGEST_HEX = 65 };

struct digest *digest_new(void);    /* NULL when out of memory. Caller owns */
void digest_free(struct digest *d); /* NULL allowed */
void digest_add(struct digest *d, const char *data, size_t len);
/* Write it in hexadecimal; empty when something failed. d takes no more. */
void digest_end(struct digest *d, char out[DIGEST_HEX]);

#endif
