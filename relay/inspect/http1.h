/* Observer of one HTTP/1.x connection's plaintext (RFC 9112): fed with the bytes of both
 * directions in the order they pass, tells of heads and ends of bodies. Only looks; never holds
 * bytes back, keeps at most one head per direction. When the bytes are not HTTP, or after an
 * upgrade, CONNECT 2xx or HTTP/2 preface it falls silent and costs nothing. Uses http-parser's
 * (or llhttp's) framing through http1_parser.h. Used by the pump of inspected and plain flows, and
 * by the tap. */
#ifndef INSPECT_HTTP1_H
#define INSPECT_HTTP1_H

#include "inspect/http.h"

struct http1;

/* Returns NULL when out of memory. Caller owns; events and ctx are borrowed. */
struct http1 *http1_new(const struct http_events *events, void *ctx);
void http1_free(struct http1 *h); /* NULL allowed; reports nothing */

/* Bytes that passed. Any segmentation. */
void http1_client(struct http1 *h, const char *data, size_t len);
void http1_server(struct http1 *h, const char *data, size_t len);

/* How many of the bytes that the server sends next belong to a body of stated length and so need
 * not be looked at: the caller may move them unread (splice(2)) and say so with http1_server_skip.
 * 0: the next byte has to be read. */
uint64_t http1_server_left(const struct http1 *h);
void http1_server_skip(struct http1 *h, uint64_t bytes); /* no more than http1_server_left said */

/* The server's stream ended in order (FIN, or close_notify): ends a close-delimited body. */
void http1_server_eof(struct http1 *h);
/* The connection is over, however: open bodies are reported as incomplete. */
void http1_finish(struct http1 *h);

/* False once the observer has fallen silent. */
bool http1_is_active(const struct http1 *h);

#endif
