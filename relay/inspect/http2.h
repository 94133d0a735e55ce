/* Observer of one HTTP/2 connection's plaintext (RFC 9113): fed with the bytes of both directions
 * in the order they pass, tells of each stream's request, response, end and trailers (gRPC's status
 * is in these), of resets and of GOAWAY. Only looks: never holds bytes back, never answers. Bounded
 * in memory; what it cannot understand makes it stop, with a word through events->stopped. Used by
 * recorder.c for inspected and plain flows, and for what the tap sends. */
#ifndef INSPECT_HTTP2_H
#define INSPECT_HTTP2_H

#include "inspect/http.h"

struct http2;

/* What every client begins with (RFC 9113 section 3.4), 24 bytes. */
extern const char http2_preface[25];

/* Returns NULL when out of memory. Caller owns; events and ctx are borrowed. */
struct http2 *http2_new(const struct http_events *events, void *ctx);
void http2_free(struct http2 *h); /* NULL allowed; reports nothing */

/* Bytes that passed, the client's preface first. Any segmentation. */
void http2_client(struct http2 *h, const char *data, size_t len);
void http2_server(struct http2 *h, const char *data, size_t len);

/* len bytes passed that nobody copied. Only the inside of DATA may be left out so; anywhere else
 * the observer stops. They count. */
void http2_client_skip(struct http2 *h, uint64_t len);
void http2_server_skip(struct http2 *h, uint64_t len);

/* The connection is over, however: answered streams that are still open are reported as cut. */
void http2_finish(struct http2 *h);

/* False once the observer has stopped. */
bool http2_is_active(const struct http2 *h);

#endif
