/* recorder.c: turns what http1.c saw on one connection into events of the record (docs/record.md):
 * http.request, http.response, http.body. Owns request numbers, absolute URLs, and the times
 * between them; everything that it writes goes through record/mask.h. */
#include "inspect/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <utlist.h>

#include "record/mask.h"

enum {
        URL_CAP = 8192,
        VALUE_CAP = 4096,
        HEADERS_CAP = 100,
        HEADERS_TOTAL_CAP = 32768, /* leaves room for the URL in one event */
};

/* A request whose response has not ended. */
struct pending {
        struct pending *prev, *next;
        unsigned index;  /* http1's */
        uint64_t number; /* the run's */
        char *url;       /* owned, masked; may be NULL */
        unsigned status;
        int64_t head_us; /* of the request, then of the response */
};

struct recorder {
        struct recorder_origin origin; /* exe, scheme, host, source owned */
        struct http1 *http;            /* owned */
        struct pending *pending;       /* owned, oldest first */
        int64_t server_us;             /* when bytes of the server came last */
        const char *reason; /* why open bodies are incomplete; borrowed while finishing */
};

static int64_t now_us(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void pending_free(struct recorder *r, struct pending *p)
{
        DL_DELETE(r->pending, p);
        free(p->url);
        free(p);
}

static struct pending *pending_get(struct recorder *r, unsigned index)
{
        struct pending *p = r->pending;

        while (p && p->index != index)
                p = p->next;
        return p;
}

static const struct http1_header *header_get(const struct http1_head *head, const char *name)
{
        size_t len = strlen(name);

        for (size_t i = 0; i < head->header_count; i++) {
                const struct http1_header *header = &head->headers[i];
                if (header->name_len == len && !strncasecmp(header->name, name, len))
                        return header;
        }
        return NULL;
}

/* The authority for a request without Host: our own idea of whom the client talks to. */
static void default_authority(const struct recorder_origin *origin, char *out, size_t cap)
{
        bool usual = origin->port == (strcmp(origin->scheme, "https") ? 80 : 443);
        bool v6 = strchr(origin->host, ':') != NULL;
        int len = snprintf(out, cap, v6 ? "[%s]" : "%s", origin->host);

        if (!usual && len > 0 && (size_t)len < cap)
                snprintf(out + len, cap - (size_t)len, ":%u", origin->port);
}

/* The request's URL (RFC 9110 section 7.1), not masked; caller frees. NULL without memory. */
static char *absolute_url(const struct recorder *r, const struct http1_head *head)
{
        const struct http1_header *host = header_get(head, "Host");
        char authority[300] = "";
        char *url = NULL;
        int target_len = (int)head->target_len;

        bool origin_form = target_len && head->target[0] == '/';
        bool asterisk = target_len == 1 && head->target[0] == '*';
        if ((!origin_form && !asterisk) || !r->origin.scheme)
                return strndup(head->target, head->target_len);
        if (host && host->value_len && host->value_len < sizeof authority)
                memcpy(authority, host->value, host->value_len);
        else if (r->origin.host)
                default_authority(&r->origin, authority, sizeof authority);
        if (!*authority)
                return strndup(head->target, head->target_len);
        if (asprintf(&url, "%s://%s%.*s", r->origin.scheme, authority, asterisk ? 0 : target_len,
                     head->target) < 0)
                return NULL;
        return url;
}

static char *masked_url(const struct recorder *r, const struct http1_head *head)
{
        char out[URL_CAP];
        char *url = absolute_url(r, head);

        if (!url)
                return NULL;
        mask_url(url, strlen(url), out, sizeof out);
        free(url);
        return strdup(out);
}

static void add_version(struct event *e, const struct http1_head *head)
{
        char version[16];

        snprintf(version, sizeof version, "%u.%u", head->major, head->minor);
        event_str(e, "version", version);
}

static void add_headers(struct event *e, const struct http1_head *head)
{
        char value[VALUE_CAP];
        size_t total = 0;

        event_open_array(e, "headers");
        for (size_t i = 0; i < head->header_count; i++) {
                const struct http1_header *header = &head->headers[i];
                size_t len = mask_header(header->name, header->name_len, header->value,
                                         header->value_len, value, sizeof value);
                total += header->name_len + len;
                if (i == HEADERS_CAP || total > HEADERS_TOTAL_CAP) {
                        e->clipped = true;
                        break;
                }
                event_open_array(e, NULL);
                event_strn(e, NULL, header->name, header->name_len);
                event_strn(e, NULL, value, len);
                event_close_array(e);
        }
        event_close_array(e);
}

static void on_request(void *ctx, unsigned index, const struct http1_head *head)
{
        struct recorder *r = ctx;
        struct pending *p = calloc(1, sizeof *p);
        struct event e;

        if (!p)
                return;
        p->index = index;
        p->number = ++*r->origin.next_request;
        p->head_us = now_us();
        p->url = masked_url(r, head);
        DL_APPEND(r->pending, p);
        event_begin(&e, EVENT_HTTP_REQUEST, &r->origin.who, r->origin.flow);
        event_int(&e, "request", (int64_t)p->number);
        event_str(&e, "source", r->origin.source);
        event_str(&e, "method", head->method);
        event_str(&e, "url", p->url);
        add_version(&e, head);
        add_headers(&e, head);
        record_write(r->origin.record, &e);
}

static void on_response(void *ctx, unsigned index, const struct http1_head *head)
{
        struct recorder *r = ctx;
        struct pending *p = pending_get(r, index);
        int64_t now = now_us();
        struct event e;

        event_begin(&e, EVENT_HTTP_RESPONSE, &r->origin.who, r->origin.flow);
        if (p)
                event_int(&e, "request", (int64_t)p->number);
        event_str(&e, "source", r->origin.source);
        event_int(&e, "status", head->status);
        if (head->reason_len)
                event_strn(&e, "reason", head->reason, head->reason_len);
        add_version(&e, head);
        if (head->content_length >= 0)
                event_int(&e, "content_length", head->content_length);
        if (p) {
                event_str(&e, "url", p->url);
                event_ms(&e, "wait_ms", now - p->head_us);
                p->status = head->status;
                p->head_us = now;
        }
        add_headers(&e, head);
        record_write(r->origin.record, &e);
}

static void on_body_end(void *ctx, unsigned index, uint64_t bytes, bool complete)
{
        struct recorder *r = ctx;
        struct pending *p = pending_get(r, index);
        struct event e;

        if (!p)
                return;
        /* The tap hands on only the bytes that may hold heads, so it cannot count bodies. */
        if (strcmp(r->origin.source, "tap") != 0) {
                event_begin(&e, EVENT_HTTP_BODY, &r->origin.who, r->origin.flow);
                event_int(&e, "request", (int64_t)p->number);
                event_int(&e, "status", p->status);
                event_int(&e, "bytes", (int64_t)bytes);
                event_bool(&e, "complete", complete);
                if (!complete) {
                        event_str(&e, "reason", r->reason);
                        event_ms(&e, "silent_ms", now_us() - r->server_us);
                }
                event_ms(&e, "duration_ms", now_us() - p->head_us);
                record_write(r->origin.record, &e);
        }
        pending_free(r, p);
}

static const struct http1_events events = {
        .request = on_request,
        .response = on_response,
        .body_end = on_body_end,
};

/* NULL stays NULL; *ok becomes false when memory is short. */
static char *copy(const char *s, bool *ok)
{
        char *out = s ? strdup(s) : NULL;

        if (s && !out)
                *ok = false;
        return out;
}

struct recorder *recorder_new(const struct recorder_origin *origin)
{
        struct recorder *r = calloc(1, sizeof *r);
        bool ok = true;

        if (!r)
                return NULL;
        r->origin = *origin;
        r->origin.who.exe = copy(origin->who.exe, &ok);
        r->origin.scheme = copy(origin->scheme, &ok);
        r->origin.host = copy(origin->host, &ok);
        r->origin.source = copy(origin->source ? origin->source : "relay", &ok);
        r->http = http1_new(&events, r);
        if (ok && r->http)
                return r;
        recorder_free(r);
        return NULL;
}

void recorder_free(struct recorder *r)
{
        if (!r)
                return;
        http1_free(r->http);
        while (r->pending)
                pending_free(r, r->pending);
        free((char *)r->origin.who.exe);
        free((char *)r->origin.scheme);
        free((char *)r->origin.host);
        free((char *)r->origin.source);
        free(r);
}

void recorder_client(struct recorder *r, const char *data, size_t len)
{
        http1_client(r->http, data, len);
}

void recorder_server(struct recorder *r, const char *data, size_t len)
{
        r->server_us = now_us();
        http1_server(r->http, data, len);
}

void recorder_server_eof(struct recorder *r)
{
        http1_server_eof(r->http);
}

void recorder_finish(struct recorder *r, const char *reason)
{
        r->reason = reason;
        http1_finish(r->http);
        r->reason = NULL;
}

bool recorder_is_active(const struct recorder *r)
{
        return http1_is_active(r->http);
}
