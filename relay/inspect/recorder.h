/* From HTTP observation to record: turns http1's and http2's callbacks into http.request,
 * http.response, http.body and http.goaway events with request numbers, absolute URLs and masking.
 * Which version it is, the first bytes tell. One per observed connection; inspected and plain flows
 * and what the tap sends are fed alike. */
#ifndef INSPECT_RECORDER_H
#define INSPECT_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/writer.h"

struct promised;

struct recorder_origin {
        struct record *record;  /* borrowed */
        uint64_t *next_request; /* borrowed: the run's counter of requests */
        struct event_who who;   /* strings borrowed for the recorder's life */
        uint64_t flow;
        const char *scheme; /* "https" or "http" */
        const char *host;   /* used when a request has no Host; may be NULL */
        uint16_t port;
        const char *source;        /* "relay" or "tap" */
        struct promised *promised; /* borrowed: what index pages have said; NULL: not kept */
        bool digest;               /* record the SHA-256 of each complete body */
        const char *tied;          /* static: how the flow was guessed, NULL: it is known */
};

struct recorder;

/* Copies origin, strings included. Returns NULL when out of memory, with a note in the record.
 * Caller owns. */
struct recorder *recorder_new(const struct recorder_origin *origin);
void recorder_free(struct recorder *r);

void recorder_client(struct recorder *r, const char *data, size_t len);
void recorder_server(struct recorder *r, const char *data, size_t len);
/* Bytes of a response's body that may be moved unread: see http1.h. HTTP/2's frames are too short.
 */
uint64_t recorder_server_left(const struct recorder *r);
/* Bytes passed that nobody read or copied: no more than recorder_server_left said, or, for the tap,
 * which copies only heads, within HTTP/2's DATA (http2.h); anywhere else the recorder stops. */
void recorder_client_skip(struct recorder *r, uint64_t bytes);
void recorder_server_skip(struct recorder *r, uint64_t bytes);
void recorder_server_eof(struct recorder *r);
/* The connection is over; reason completes http.body ("client closed", "origin closed", "reset").
 */
void recorder_finish(struct recorder *r, const char *reason);

/* False once the bytes have turned out not to be HTTP (any more): plain flows may then splice.
 */
bool recorder_is_active(const struct recorder *r);

#endif
