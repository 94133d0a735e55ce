/* Where an HTTP/1 message ends (RFC 9112 sections 6 and 7): strict, because a relay that reads a
 * body's end elsewhere than its neighbour does lets requests be smuggled. Pure: heads and bytes in,
 * verdicts out. */
#ifndef NET_BODY_H
#define NET_BODY_H

#include "net/head.h"

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

/* A body that is being read. */
struct body {
        enum body_kind kind;
        uint64_t left;     /* bytes of content to come: of the whole, or of this chunk */
        unsigned state;    /* body.c's, within the chunked coding */
        size_t line_len;   /* of the chunk's line, or of all trailer fields */
        bool coding_stays; /* false: body_take leaves the chunked coding out */
};

enum body_result {
        BODY_MORE, /* the end is not there yet */
        BODY_DONE, /* that was its last byte */
        BODY_BAD,  /* not the chunked coding */
};

/* How a request's body is framed. Returns NULL and *out, or a sentence (static) that says why the
 * framing cannot be trusted. */
const char *body_of_request(const struct head *head, struct body *out);

/* The same of a final response; to_head: the request's method was HEAD. *faulty: its framing may be
 * taken otherwise by others, so the connection must not be used again. */
const char *body_of_response(const struct head *head, bool to_head, struct body *out, bool *faulty);

/* A response has a transfer coding. ("identity" was one once, RFC 2616, and means none.) */
bool body_has_coding(const struct head *head);

/* True when nothing more belongs to it. */
bool body_is_done(const struct body *b);

/* Take what belongs to the body from the start of data: *used bytes. They, or with coding_stays
 * false their content alone, are then data[0..*kept). After BODY_BAD nothing may be used. */
enum body_result body_take(struct body *b, char *data, size_t len, size_t *used, size_t *kept);

#endif
