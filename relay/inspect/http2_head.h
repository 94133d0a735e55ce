/* Header blocks of HTTP/2 (RFC 9113 section 4.3, RFC 7541) in one direction: inflates them with
 * nghttp2 and keeps the fields of the block that is being read. Bounded: of an endless block the
 * beginning is kept. Used by http2.c. */
#ifndef INSPECT_HTTP2_HEAD_H
#define INSPECT_HTTP2_HEAD_H

#include "inspect/http.h"

struct nghttp2_hd_inflater;

struct http2_head {
        struct nghttp2_hd_inflater *inflater; /* owned */
        size_t table_max;                     /* what the reader allows the table */
        size_t table_set;                     /* what the inflater knows of that */
        char *text;                           /* owned; name, NUL, value, NUL... */
        size_t len, cap;
        struct http_header *headers; /* owned; lengths only until described */
        size_t count, room;
        bool clipped;
        bool starved; /* for want of memory: what was kept may say something else */
};

/* Returns 0 or -ENOMEM. */
int http2_head_init(struct http2_head *head);

/* Also where init failed, or was not reached: all is zero. */
void http2_head_fini(struct http2_head *head);

/* The reader's SETTINGS_HEADER_TABLE_SIZE was seen. A writer that keeps to a smaller one says so
 * itself, so only growth counts. */
void http2_head_allow_table(struct http2_head *head, uint32_t size);

/* A piece of a block; last: it is complete with it. Returns 0, or -EPROTO when it cannot be
 * inflated: then nothing later can be, either. */
int http2_head_add(struct http2_head *head, const uint8_t *data, size_t len, bool last);

/* Fill out from a complete block; out is all zero but for what the block says. Borrows from head
 * until the next call but this. */
void http2_head_describe(struct http2_head *head, struct http_head *out);

/* Forget the block. */
void http2_head_reset(struct http2_head *head);

#endif
