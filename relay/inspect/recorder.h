/* From HTTP observation to record: turns http1's callbacks into http.request, http.response and
 * http.body events with request numbers, absolute URLs and masking. One per observed connection. */
#ifndef INSPECT_RECORDER_H
#define INSPECT_RECORDER_H

#include "inspect/http1.h"
#include "record/writer.h"

struct recorder_origin {
        struct record *record;  /* borrowed */
        uint64_t *next_request; /* borrowed: the run's counter of requests */
        struct event_who who;   /* strings borrowed for the recorder's life */
        uint64_t flow;
        const char *scheme; /* "https" or "http" */
        const char *host;   /* used when a request has no Host; may be NULL */
        uint16_t port;
        const char *source; /* "relay" or "tap" */
};

struct recorder;

/* Copies origin, strings included. Returns NULL when out of memory. Caller owns. */
struct recorder *recorder_new(const struct recorder_origin *origin);
void recorder_free(struct recorder *r);

void recorder_client(struct recorder *r, const char *data, size_t len);
void recorder_server(struct recorder *r, const char *data, size_t len);
/* Bytes of a response's body that may be moved unread, and that they were: see http1.h. */
uint64_t recorder_server_left(const struct recorder *r);
void recorder_server_skip(struct recorder *r, uint64_t bytes);
void recorder_server_eof(struct recorder *r);
/* The connection is over; reason completes http.body ("client closed", "origin closed", "reset").
 */
void recorder_finish(struct recorder *r, const char *reason);

/* False once the bytes have turned out not to be HTTP/1.x (any more): plain flows may then splice.
 */
bool recorder_is_active(const struct recorder *r);

#endif
