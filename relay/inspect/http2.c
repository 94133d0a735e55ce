/* http2.c: observes one HTTP/2 connection (RFC 9113). Owns the streams that wait for an answer or
 * for its end; frames are cut by http2_frame.c and header blocks inflated by http2_head.c. Knows
 * nothing of records (recorder.c) or of TLS. */
#include "inspect/http2.h"
#include "inspect/http2_frame.h"
#include "inspect/http2_head.h"
#include "record/hash.h"

#include <stdlib.h>
#include <string.h>

enum {
        STREAMS_CAP = 2000, /* open at once; further ones are not followed */
        DEBUG_CAP = 256,    /* of a GOAWAY's text */
        CONTROL_CAP = 8 + DEBUG_CAP,
        SETTING_LEN = 6,
        SETTINGS_HEADER_TABLE_SIZE = 1,
        STREAM_ID_BITS = 0x7fffffff,
};

const char http2_preface[25] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* A request whose answer has not ended. */
struct stream {
        UT_hash_handle hh;
        uint32_t id;
        bool asks_head; /* HEAD: the stated length says nothing of the body */
        bool answered;
        unsigned status;
        int64_t stated; /* content-length, or -1 */
        uint64_t bytes;
};

/* A header block that is being read. */
struct block {
        bool open;
        uint8_t type; /* HEADERS or PUSH_PROMISE */
        uint32_t stream, promised;
        bool ends_stream;
};

struct side {
        bool is_server;
        bool greeted; /* the preface, or the server's first frame, has passed */
        struct http2_framer framer;
        struct http2_head head;
        struct block block;
        uint8_t control[CONTROL_CAP]; /* payload of a small frame, as far as it counts */
        size_t control_len;
};

struct http2 {
        const struct http_events *events; /* borrowed */
        void *ctx;                        /* borrowed */
        struct side client, server;
        size_t preface_len;     /* of the client's, seen so far */
        struct stream *streams; /* owned */
        uint32_t last_request;  /* the highest stream that the client opened */
        uint32_t last_promise;  /* that the server promised: RFC 9113 section 5.1.1 */
        bool silent;
};

static uint32_t number(const uint8_t *at)
{
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* RFC 9113 section 7. */
static const char *error_name(uint32_t code)
{
        static const char *const names[] = {"NO_ERROR",
                                            "PROTOCOL_ERROR",
                                            "INTERNAL_ERROR",
                                            "FLOW_CONTROL_ERROR",
                                            "SETTINGS_TIMEOUT",
                                            "STREAM_CLOSED",
                                            "FRAME_SIZE_ERROR",
                                            "REFUSED_STREAM",
                                            "CANCEL",
                                            "COMPRESSION_ERROR",
                                            "CONNECT_ERROR",
                                            "ENHANCE_YOUR_CALM",
                                            "INADEQUATE_SECURITY",
                                            "HTTP_1_1_REQUIRED"};

        return code < sizeof names / sizeof *names ? names[code] : "UNKNOWN";
}

static void lose(struct http2 *h, const char *what)
{
        if (h->events->lost)
                h->events->lost(h->ctx, what);
}

/* ---- streams ---- */

static struct stream *stream_get(struct http2 *h, uint32_t id)
{
        struct stream *s;

        HASH_FIND(hh, h->streams, &id, sizeof id, s);
        return s;
}

static void stream_drop(struct http2 *h, struct stream *s)
{
        HASH_DEL(h->streams, s);
        free(s);
}

static struct stream *stream_add(struct http2 *h, uint32_t id)
{
        struct stream *s;

        if (HASH_COUNT(h->streams) >= STREAMS_CAP)
                return NULL;
        s = calloc(1, sizeof *s);
        if (s) {
                s->id = id;
                s->stated = -1;
                HASH_ADD(hh, h->streams, id, sizeof s->id, s);
                if (s->hh.tbl)
                        return s;
        }
        lose(h, "a request");
        free(s);
        return NULL;
}

static void release(struct http2 *h)
{
        struct stream *s, *next;

        HASH_ITER(hh, h->streams, s, next)
        {
                stream_drop(h, s);
        }
        if (!h->silent) {
                http2_head_fini(&h->client.head);
                http2_head_fini(&h->server.head);
        }
        h->silent = true;
}

static void stop(struct http2 *h, const char *why)
{
        if (h->silent)
                return;
        release(h);
        h->events->stopped(h->ctx, why);
}

static bool is_short(const struct stream *s)
{
        return s->stated >= 0 && s->bytes != (uint64_t)s->stated && !s->asks_head &&
               s->status != 204 && s->status != 304;
}

static void stream_end(struct http2 *h, struct stream *s, struct http_end *end)
{
        if (end->how == HTTP_COMPLETE && is_short(s))
                end->how = HTTP_SHORT;
        end->bytes = s->bytes;
        end->answered = s->answered;
        h->events->body_end(h->ctx, s->id, end);
        stream_drop(h, s);
}

/* ---- heads ---- */

/* A plain CONNECT has no path: RFC 9113 section 8.5. */
static bool is_request(const struct http_head *head)
{
        return head->method && (head->target_len || !strcmp(head->method, "CONNECT"));
}

static void on_request(struct http2 *h, uint32_t id, struct http2_head *block)
{
        struct http_head head;
        struct stream *s;

        if (block->starved) {
                lose(h, "a request");
                return;
        }
        http2_head_describe(block, &head);
        s = is_request(&head) ? stream_add(h, id) : NULL;
        if (!s)
                return;
        s->asks_head = !strcmp(head.method, "HEAD");
        head.stream = id;
        h->events->request(h->ctx, id, &head);
}

static void on_client_head(struct http2 *h, const struct block *block)
{
        /* Even ones are the server's. What comes later on the same stream are trailers. */
        if (!(block->stream & 1) || block->stream <= h->last_request)
                return;
        h->last_request = block->stream;
        on_request(h, block->stream, &h->client.head);
}

static void on_trailers(struct http2 *h, struct stream *s, const struct http_head *head)
{
        struct http_end end = {.how = HTTP_COMPLETE,
                               .trailers = head->headers,
                               .trailer_count = head->header_count};

        stream_end(h, s, &end);
}

static void on_server_head(struct http2 *h, const struct block *block)
{
        struct stream *s = stream_get(h, block->stream);
        struct http_end end = {.how = HTTP_COMPLETE};
        struct http_head head;

        if (!s)
                return;
        if (h->server.head.starved) {
                lose(h, s->answered ? "the end of an answer" : "an answer");
                stream_drop(h, s);
                return;
        }
        http2_head_describe(&h->server.head, &head);
        if (s->answered) {
                if (block->ends_stream)
                        on_trailers(h, s, &head);
                return;
        }
        if (head.status / 100 == 1 && !block->ends_stream)
                return;
        s->answered = true;
        s->status = head.status;
        s->stated = head.content_length;
        head.stream = s->id;
        h->events->response(h->ctx, s->id, &head);
        if (block->ends_stream)
                stream_end(h, s, &end);
}

static void on_promise(struct http2 *h, const struct block *block)
{
        if (block->promised & 1 || block->promised <= h->last_promise)
                return;
        h->last_promise = block->promised;
        on_request(h, block->promised, &h->server.head);
}

static void on_block_end(struct http2 *h, struct side *side)
{
        struct block block = side->block;

        side->block.open = false;
        if (!side->is_server)
                on_client_head(h, &block);
        else if (block.type == HTTP2_PUSH_PROMISE)
                on_promise(h, &block);
        else
                on_server_head(h, &block);
        if (!h->silent)
                http2_head_reset(&side->head);
}

static void on_block(struct http2 *h, struct side *side, const struct http2_piece *piece)
{
        const struct http2_framer *f = &side->framer;
        bool ends = piece->last && f->flags & HTTP2_END_HEADERS;

        if (f->type == HTTP2_CONTINUATION ? !side->block.open
                                          : f->type == HTTP2_PUSH_PROMISE && !side->is_server) {
                stop(h, "a header block begins in the middle");
                return;
        }
        if (f->type != HTTP2_CONTINUATION && piece->first)
                side->block = (struct block){.open = true,
                                             .type = f->type,
                                             .stream = f->stream,
                                             .promised = f->promised,
                                             .ends_stream = f->type == HTTP2_HEADERS &&
                                                            f->flags & HTTP2_END_STREAM};
        if (http2_head_add(&side->head, piece->data, piece->len, ends) < 0)
                stop(h, "a header block cannot be decompressed");
        else if (ends)
                on_block_end(h, side);
}

/* ---- the other frames ---- */

static void on_data(struct http2 *h, const struct side *side, const struct http2_piece *piece)
{
        struct stream *s = side->is_server ? stream_get(h, side->framer.stream) : NULL;
        struct http_end end = {.how = HTTP_COMPLETE};

        if (!s || !s->answered)
                return;
        s->bytes += piece->len;
        if (h->events->body && piece->len)
                h->events->body(h->ctx, s->id, (const char *)piece->data, piece->len);
        if (piece->last && side->framer.flags & HTTP2_END_STREAM)
                stream_end(h, s, &end);
}

static void on_reset(struct http2 *h, const struct side *side)
{
        struct stream *s = side->control_len == 4 ? stream_get(h, side->framer.stream) : NULL;
        struct http_end end = {.how = side->is_server ? HTTP_SERVER_RESET : HTTP_CLIENT_RESET};

        if (!s)
                return;
        end.error = error_name(number(side->control));
        stream_end(h, s, &end);
}

static void on_goaway(struct http2 *h, const struct side *side)
{
        struct http_goaway goaway = {.from_server = side->is_server};

        if (side->control_len < 8)
                return;
        goaway.last_stream = number(side->control) & STREAM_ID_BITS;
        goaway.error = error_name(number(side->control + 4));
        goaway.debug = (const char *)side->control + 8;
        goaway.debug_len = side->control_len - 8;
        h->events->goaway(h->ctx, &goaway);
}

/* One side says how large the other's table may be. */
static void on_setting(struct http2 *h, struct side *side)
{
        struct side *writer = side->is_server ? &h->client : &h->server;

        if (side->control[0] == 0 && side->control[1] == SETTINGS_HEADER_TABLE_SIZE)
                http2_head_allow_table(&writer->head, number(side->control + 2));
        side->control_len = 0;
}

static void collect(struct http2 *h, struct side *side, const struct http2_piece *piece)
{
        bool settings = side->framer.type == HTTP2_SETTINGS;
        size_t cap = settings ? SETTING_LEN : CONTROL_CAP;

        if (piece->first)
                side->control_len = 0;
        for (size_t i = 0; i < piece->len && side->control_len < cap; i++) {
                side->control[side->control_len++] = piece->data[i];
                if (settings && side->control_len == SETTING_LEN)
                        on_setting(h, side);
        }
        if (!piece->last)
                return;
        if (side->framer.type == HTTP2_RST_STREAM)
                on_reset(h, side);
        else if (side->framer.type == HTTP2_GOAWAY)
                on_goaway(h, side);
}

static void on_piece(struct http2 *h, struct side *side, const struct http2_piece *piece)
{
        const struct http2_framer *f = &side->framer;

        if (side->is_server && !side->greeted && f->type != HTTP2_SETTINGS) {
                stop(h, "the server does not begin with its settings");
                return;
        }
        side->greeted = true;
        if (side->block.open && piece->first &&
            (f->type != HTTP2_CONTINUATION || f->stream != side->block.stream)) {
                stop(h, "a header block is interrupted");
                return;
        }
        switch (f->type) {
        case HTTP2_DATA:
                on_data(h, side, piece);
                break;
        case HTTP2_HEADERS:
        case HTTP2_PUSH_PROMISE:
        case HTTP2_CONTINUATION:
                on_block(h, side, piece);
                break;
        case HTTP2_RST_STREAM:
        case HTTP2_SETTINGS:
        case HTTP2_GOAWAY:
                collect(h, side, piece);
                break;
        default:
                break; /* flow control, priorities, pings, and what is not known */
        }
}

/* ---- bytes ---- */

static void feed(struct http2 *h, struct side *side, const char *data, size_t len)
{
        const uint8_t *at = (const uint8_t *)data;
        struct http2_piece piece;

        while (!h->silent)
                switch (http2_frame_next(&side->framer, &at, &len, &piece)) {
                case HTTP2_MORE:
                        return;
                case HTTP2_PIECE:
                        on_piece(h, side, &piece);
                        break;
                case HTTP2_BROKEN:
                        stop(h, "a frame's length cannot be");
                        break;
                }
}

struct http2 *http2_new(const struct http_events *events, void *ctx)
{
        struct http2 *h = calloc(1, sizeof *h);

        if (!h)
                return NULL;
        h->events = events;
        h->ctx = ctx;
        h->server.is_server = true;
        if (http2_head_init(&h->client.head) == 0 && http2_head_init(&h->server.head) == 0)
                return h;
        http2_free(h);
        return NULL;
}

void http2_free(struct http2 *h)
{
        if (!h)
                return;
        release(h);
        free(h);
}

void http2_client(struct http2 *h, const char *data, size_t len)
{
        size_t left = sizeof http2_preface - 1 - h->preface_len;
        size_t n = len < left ? len : left;

        if (h->silent || !len)
                return;
        if (memcmp(http2_preface + h->preface_len, data, n) != 0) {
                stop(h, "the client does not begin with HTTP/2's preface");
                return;
        }
        h->preface_len += n;
        feed(h, &h->client, data + n, len - n);
}

void http2_server(struct http2 *h, const char *data, size_t len)
{
        if (len)
                feed(h, &h->server, data, len);
}

static void skip(struct http2 *h, struct side *side, uint64_t len)
{
        struct stream *s = side->is_server ? stream_get(h, side->framer.stream) : NULL;
        uint32_t before = side->framer.left;

        if (h->silent || !len)
                return;
        if (!http2_frame_skip(&side->framer, len)) {
                stop(h, "bytes are missing where a frame's head should be");
                return;
        }
        if (s && s->answered)
                s->bytes += before - side->framer.left;
        feed(h, side, "", 0); /* that may have been the end of the stream */
}

void http2_client_skip(struct http2 *h, uint64_t len)
{
        skip(h, &h->client, len);
}

void http2_server_skip(struct http2 *h, uint64_t len)
{
        skip(h, &h->server, len);
}

void http2_finish(struct http2 *h)
{
        struct stream *s, *next;

        if (h->silent)
                return;
        HASH_ITER(hh, h->streams, s, next)
        {
                struct http_end end = {.how = HTTP_CUT};
                if (s->answered)
                        stream_end(h, s, &end);
        }
        release(h);
}

bool http2_is_active(const struct http2 *h)
{
        return !h->silent;
}
