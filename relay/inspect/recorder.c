/* recorder.c: turns what http1.c or http2.c saw on one connection into events of the record
 * (docs/record.md): http.request, http.response, http.body, http.goaway. Owns the choice between
 * both,  request numbers, absolute URLs, and the times between them; everything that it writes goes
 * through record/mask.h. */
#include "inspect/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "inspect/body_check.h"
#include "inspect/http1.h"
#include "inspect/http2.h"
#include "inspect/http_event.h"
#include "inspect/page.h"
#include "inspect/url.h"
#include "record/mask.h"

enum {
        PREFACE_SEEN = 3, /* bytes that tell HTTP/2's preface from every method */
        DEBUG_CAP = 512,
        URL_CAP = 4096,
};

/* A request whose response has not ended. */
struct pending {
        struct pending *prev, *next;
        unsigned index;  /* the observer's */
        uint64_t number; /* the run's */
        char *url;       /* owned, masked; may be NULL */
        unsigned status;
        bool is_head, is_cargo;
        struct body_check *check; /* owned; NULL: nothing to compare the body with */
        struct page *page;        /* owned; NULL: the body is no page of an index */
        int64_t head_us;          /* of the request, then of the response */
};

struct recorder {
        struct recorder_origin origin; /* exe, scheme, host, source owned */
        struct http1 *http1;           /* owned; at most one of both, NULL before it is known */
        struct http2 *http2;           /* owned */
        char early[PREFACE_SEEN];      /* the client's first bytes, until it is known */
        size_t early_len;
        bool stopped;            /* nothing to see any more */
        struct pending *pending; /* owned, oldest first */
        int64_t server_us;       /* when bytes of the server came last */
        const char *reason;      /* why open bodies are incomplete; borrowed while finishing */
};

static void note_stop(const struct recorder_origin *origin, const char *protocol, const char *why)
{
        char note[200];

        snprintf(note, sizeof note, "%s on this connection is not recorded any further: %s",
                 protocol, why);
        record_note(origin->record, &origin->who, origin->flow, note);
}

static void note_lost(const struct recorder_origin *origin, const char *what)
{
        char note[200];

        snprintf(note, sizeof note, "%s on this connection is not recorded: out of memory", what);
        record_note(origin->record, &origin->who, origin->flow, note);
}

static int64_t now_us(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void pending_free(struct recorder *r, struct pending *p)
{
        DL_DELETE(r->pending, p);
        body_check_free(p->check);
        page_free(p->page);
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

static void on_request(void *ctx, unsigned index, const struct http_head *head)
{
        struct recorder *r = ctx;
        struct pending *p = calloc(1, sizeof *p);
        struct event e;

        if (!p) {
                note_lost(&r->origin, "a request");
                return;
        }
        p->index = index;
        p->number = ++*r->origin.next_request;
        p->head_us = now_us();
        p->url = http_event_url(&r->origin, head);
        if (!p->url)
                note_lost(&r->origin, "the URL of a request");
        p->is_head = head->method && strcmp(head->method, "HEAD") == 0;
        p->is_cargo = page_is_for_cargo(head);
        DL_APPEND(r->pending, p);
        event_begin(&e, EVENT_HTTP_REQUEST, &r->origin.who, r->origin.flow);
        event_int(&e, "request", (int64_t)p->number);
        event_str(&e, "source", r->origin.source);
        event_str(&e, "tied", r->origin.tied);
        event_str(&e, "method", head->method);
        event_str(&e, "url", p->url);
        http_event_version(&e, head);
        http_event_headers(&e, "headers", head->headers, head->header_count);
        record_write(r->origin.record, &e);
}

/* Where the answer is elsewhere, so is the file that an index spoke of. */
static void follow(struct recorder *r, const struct pending *p, const struct http_head *head)
{
        const struct http_header *to = http_header_get(head, "Location");
        char reference[URL_CAP], url[URL_CAP], masked[URL_CAP];

        if (!to || to->value_len >= sizeof reference)
                return;
        memcpy(reference, to->value, to->value_len);
        reference[to->value_len] = '\0';
        if (!url_resolve(p->url, reference, url, sizeof url))
                return;
        mask_url(url, strlen(url), masked, sizeof masked);
        promised_move(r->origin.promised, p->url, masked);
}

/* The tap hands on only the bytes that may hold heads. */
static bool sees_bodies(const struct recorder *r)
{
        return strcmp(r->origin.source, "tap") != 0;
}

static void begin_body(struct recorder *r, struct pending *p, const struct http_head *head)
{
        if (!sees_bodies(r) || p->is_head)
                return;
        body_check_free(p->check);
        p->check = body_check_new(head, p->url, r->origin.promised, r->origin.digest);
        if (!r->origin.promised || !p->url)
                return;
        if (head->status >= 300 && head->status < 400)
                follow(r, p, head);
        else if (head->status == 200 && !p->page)
                p->page = page_new(r->origin.promised, p->url, p->number, head, p->is_cargo);
}

static bool wants_body(void *ctx, unsigned index)
{
        const struct pending *p = pending_get(ctx, index);

        return p && (p->check || p->page);
}

static void on_body(void *ctx, unsigned index, const char *data, size_t len)
{
        struct pending *p = pending_get(ctx, index);

        if (p && p->check)
                body_check_read(p->check, data, len);
        if (p && p->page)
                page_read(p->page, data, len);
}

static void on_response(void *ctx, unsigned index, const struct http_head *head)
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
        http_event_version(&e, head);
        if (head->content_length >= 0)
                event_int(&e, "content_length", head->content_length);
        if (p) {
                event_str(&e, "url", p->url);
                event_ms(&e, "wait_ms", now - p->head_us);
                p->status = head->status;
                p->head_us = now;
                begin_body(r, p, head);
        }
        http_event_headers(&e, "headers", head->headers, head->header_count);
        record_write(r->origin.record, &e);
}

/* Why it is not complete; NULL when it is. */
static const char *end_reason(const struct recorder *r, enum http_how how)
{
        switch (how) {
        case HTTP_COMPLETE:
                return NULL;
        case HTTP_CUT:
                return r->reason;
        case HTTP_CLIENT_RESET:
                return "client reset the stream";
        case HTTP_SERVER_RESET:
                return "origin reset the stream";
        case HTTP_SHORT:
                return "not as long as stated";
        }
        return NULL;
}

static void write_body(struct recorder *r, struct pending *p, const struct http_end *end)
{
        struct event e;

        event_begin(&e, EVENT_HTTP_BODY, &r->origin.who, r->origin.flow);
        event_int(&e, "request", (int64_t)p->number);
        if (end->answered)
                event_int(&e, "status", p->status);
        event_int(&e, "bytes", (int64_t)end->bytes);
        event_bool(&e, "complete", end->how == HTTP_COMPLETE);
        event_str(&e, "reason", end_reason(r, end->how));
        event_str(&e, "error", end->error);
        if (end->trailer_count)
                http_event_headers(&e, "trailers", end->trailers, end->trailer_count);
        if (end->how == HTTP_COMPLETE && p->check)
                body_check_write(p->check, &e);
        else if (end->how != HTTP_COMPLETE)
                event_ms(&e, "silent_ms", now_us() - r->server_us);
        event_ms(&e, "duration_ms", now_us() - p->head_us);
        record_write(r->origin.record, &e);
}

static void on_body_end(void *ctx, unsigned index, const struct http_end *end)
{
        struct recorder *r = ctx;
        struct pending *p = pending_get(r, index);

        if (!p)
                return;
        if (sees_bodies(r))
                write_body(r, p, end);
        pending_free(r, p);
}

static void on_goaway(void *ctx, const struct http_goaway *goaway)
{
        struct recorder *r = ctx;
        char debug[DEBUG_CAP];
        struct event e;

        event_begin(&e, EVENT_HTTP_GOAWAY, &r->origin.who, r->origin.flow);
        event_str(&e, "source", r->origin.source);
        event_str(&e, "side", goaway->from_server ? "origin" : "client");
        event_str(&e, "error", goaway->error);
        event_int(&e, "last_stream", goaway->last_stream);
        mask_url(goaway->debug, goaway->debug_len, debug, sizeof debug);
        if (*debug)
                event_str(&e, "debug", debug);
        record_write(r->origin.record, &e);
}

static void on_stopped(void *ctx, const char *why)
{
        struct recorder *r = ctx;

        note_stop(&r->origin, r->http2 ? "HTTP/2" : "HTTP", why);
}

static void on_lost(void *ctx, const char *what)
{
        struct recorder *r = ctx;

        note_lost(&r->origin, what);
}

static const struct http_events events = {
        .request = on_request,
        .response = on_response,
        .body = on_body,
        .wants_body = wants_body,
        .body_end = on_body_end,
        .goaway = on_goaway,
        .lost = on_lost,
        .stopped = on_stopped,
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

        if (!r) {
                note_stop(origin, "HTTP", "out of memory");
                return NULL;
        }
        r->origin = *origin;
        r->origin.who.exe = copy(origin->who.exe, &ok);
        r->origin.scheme = copy(origin->scheme, &ok);
        r->origin.host = copy(origin->host, &ok);
        r->origin.source = copy(origin->source ? origin->source : "relay", &ok);
        if (ok)
                return r;
        note_stop(origin, "HTTP", "out of memory");
        recorder_free(r);
        return NULL;
}

void recorder_free(struct recorder *r)
{
        if (!r)
                return;
        http1_free(r->http1);
        http2_free(r->http2);
        while (r->pending)
                pending_free(r, r->pending);
        free((char *)r->origin.who.exe);
        free((char *)r->origin.scheme);
        free((char *)r->origin.host);
        free((char *)r->origin.source);
        free(r);
}

/* ---- which version? ---- */

static void begin(struct recorder *r, bool is_http2)
{
        if (is_http2)
                r->http2 = http2_new(&events, r);
        else
                r->http1 = http1_new(&events, r);
        r->stopped = !r->http1 && !r->http2;
        if (r->stopped)
                note_stop(&r->origin, is_http2 ? "HTTP/2" : "HTTP", "out of memory");
}

static bool is_begun(const struct recorder *r)
{
        return r->http1 || r->http2 || r->stopped;
}

/* Keeps the client's first bytes back from the observers until they tell. Moves data on. */
static void look(struct recorder *r, const char **data, size_t *len)
{
        while (*len && r->early_len < sizeof r->early && !is_begun(r)) {
                r->early[r->early_len++] = *(*data)++;
                (*len)--;
                bool same = !memcmp(r->early, http2_preface, r->early_len);
                if (!same || r->early_len == sizeof r->early)
                        begin(r, same);
        }
}

static void client_bytes(struct recorder *r, const char *data, size_t len)
{
        if (r->http1)
                http1_client(r->http1, data, len);
        else if (r->http2)
                http2_client(r->http2, data, len);
}

static void release_early(struct recorder *r)
{
        size_t len = r->early_len;

        r->early_len = 0;
        client_bytes(r, r->early, len);
}

void recorder_client(struct recorder *r, const char *data, size_t len)
{
        if (!is_begun(r))
                look(r, &data, &len);
        if (!is_begun(r))
                return;
        if (r->early_len)
                release_early(r);
        client_bytes(r, data, len);
}

void recorder_server(struct recorder *r, const char *data, size_t len)
{
        r->server_us = now_us();
        /* A server's settings may come before the client's preface: the length of that frame has
         * a zero in front, and no status line begins so. */
        if (len && !is_begun(r)) {
                begin(r, data[0] == 0);
                release_early(r);
        }
        if (r->http1)
                http1_server(r->http1, data, len);
        else if (r->http2)
                http2_server(r->http2, data, len);
}

uint64_t recorder_server_left(const struct recorder *r)
{
        return r->http1 && !r->stopped ? http1_server_left(r->http1) : 0;
}

void recorder_client_skip(struct recorder *r, uint64_t bytes)
{
        if (r->http2)
                http2_client_skip(r->http2, bytes);
        else
                r->stopped = true;
}

void recorder_server_skip(struct recorder *r, uint64_t bytes)
{
        r->server_us = now_us();
        if (r->http2)
                http2_server_skip(r->http2, bytes);
        else if (r->http1 && bytes <= http1_server_left(r->http1))
                http1_server_skip(r->http1, bytes);
        else
                r->stopped = true;
}

void recorder_server_eof(struct recorder *r)
{
        if (r->http1)
                http1_server_eof(r->http1);
}

void recorder_finish(struct recorder *r, const char *reason)
{
        r->reason = reason;
        if (r->http1)
                http1_finish(r->http1);
        if (r->http2)
                http2_finish(r->http2);
        r->reason = NULL;
        r->stopped = true;
}

bool recorder_is_active(const struct recorder *r)
{
        if (r->stopped)
                return false;
        if (r->http1)
                return http1_is_active(r->http1);
        return !r->http2 || http2_is_active(r->http2);
}
