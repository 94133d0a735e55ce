/* The parts of http.* events that come from a head; see docs/record.md. */
#ifndef INSPECT_HTTP_EVENT_H
#define INSPECT_HTTP_EVENT_H

#include "inspect/http.h"
#include "inspect/recorder.h"
#include "record/event.h"

/* The request's absolute URL (RFC 9110 section 7.1) as it may be recorded. Caller frees. NULL
 * without memory. */
char *http_event_url(const struct recorder_origin *origin, const struct http_head *head);

/* Add "version" and, for HTTP/2, "stream". */
void http_event_version(struct event *e, const struct http_head *head);

/* Add an array of [name, value] under key; clipped when there are too many. */
void http_event_headers(struct event *e, const char *key, const struct http_header *headers,
                        size_t count);

#endif
