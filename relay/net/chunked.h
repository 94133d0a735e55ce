/* The chunked coding of a short body (RFC 9112 section 7.1), decoded in place. Pure. */
#ifndef NET_CHUNKED_H
#define NET_CHUNKED_H

#include <stddef.h>
#include <sys/types.h>

/* Decode data in place. Returns 0 with *body_len when the whole body is there, and *used of the
 * len bytes belonged to it; -EAGAIN when more has to come (data is unchanged), -EINVAL when it is
 * not chunked. With cut, what has come is decoded all the same, and 0 is returned. */
int chunked_decode(char *data, size_t len, int cut, size_t *body_len, size_t *used);

#endif
