/* Conversations in HTTP/2 built with nghttp2's own compressor, and the story that http2.c tells of
 * them, as text. Used by test_http2.c. */
#ifndef HTTP2_TALK_H
#define HTTP2_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "guarded.h"
#include "inspect/http2.h"

enum { TURNS_CAP = 400, BYTES_CAP = 1 << 19 };
enum split { WHOLE, BYTES, RANDOM, SPLIT_COUNT };

/* A conversation: pieces of bytes, each of one side. */
struct talk {
        struct {
                bool server;
                size_t at, len;
        } turns[TURNS_CAP];
        size_t count, len;
        nghttp2_hd_deflater *client, *server;
        char bytes[BYTES_CAP];
};

struct story {
        char text[65536];
        size_t len;
};

/* ---- making a conversation ---- */

static inline void say(struct talk *t, bool server, const void *bytes, size_t len)
{
        assert_true(t->count < TURNS_CAP && len <= sizeof t->bytes - t->len);
        memcpy(t->bytes + t->len, bytes, len);
        t->turns[t->count].server = server;
        t->turns[t->count].at = t->len;
        t->turns[t->count++].len = len;
        t->len += len;
}

static inline void frame(struct talk *t, bool server, int type, int flags, uint32_t stream,
                         const void *payload, size_t len)
{
        unsigned char head[9] = {(unsigned char)(len >> 16),
                                 (unsigned char)(len >> 8),
                                 (unsigned char)len,
                                 (unsigned char)type,
                                 (unsigned char)flags,
                                 (unsigned char)(stream >> 24),
                                 (unsigned char)(stream >> 16),
                                 (unsigned char)(stream >> 8),
                                 (unsigned char)stream};

        say(t, server, head, sizeof head);
        if (len)
                say(t, server, payload, len);
}

/* "name: value\n" lines become a block. Returns its length. */
static inline size_t block(struct talk *t, bool server, const char *lines, unsigned char *out,
                           size_t cap)
{
        nghttp2_nv fields[64];
        size_t count = 0;

        for (const char *at = lines; *at; at = strchr(at, '\n') + 1) {
                const char *value = strstr(at + 1, ": ") + 2;
                fields[count++] =
                        (nghttp2_nv){(uint8_t *)at, (uint8_t *)value, (size_t)(value - 2 - at),
                                     (size_t)(strchr(value, '\n') - value), 0};
        }
        ssize_t len =
                nghttp2_hd_deflate_hd(server ? t->server : t->client, out, cap, fields, count);
        assert_true(len >= 0);
        return (size_t)len;
}

static inline void head(struct talk *t, bool server, uint32_t stream, bool end, const char *lines)
{
        unsigned char out[65536];
        size_t len = block(t, server, lines, out, sizeof out);

        frame(t, server, 1, 4 | end, stream, out, len);
}

static inline void request(struct talk *t, uint32_t stream, const char *path)
{
        char lines[300];

        snprintf(lines, sizeof lines,
                 ":method: GET\n:scheme: https\n:authority: index.example\n:path: %s\n", path);
        head(t, false, stream, true, lines);
}

static inline struct talk *talk_new(void)
{
        struct talk *t = calloc(1, sizeof *t);

        assert_int_equal(nghttp2_hd_deflate_new(&t->client, 4096), 0);
        assert_int_equal(nghttp2_hd_deflate_new(&t->server, 4096), 0);
        say(t, false, http2_preface, sizeof http2_preface - 1);
        frame(t, false, 4, 0, 0, NULL, 0);
        frame(t, true, 4, 0, 0, "\0\3\0\0\0\x64", 6);
        frame(t, true, 4, 1, 0, NULL, 0);
        return t;
}

static inline void talk_free(struct talk *t)
{
        if (t->client)
                nghttp2_hd_deflate_del(t->client);
        if (t->server)
                nghttp2_hd_deflate_del(t->server);
        free(t);
}

/* ---- hearing it ---- */

__attribute__((format(printf, 2, 3))) static inline void tell(struct story *s, const char *format,
                                                              ...)
{
        va_list args;

        va_start(args, format);
        s->len += (size_t)vsnprintf(s->text + s->len, sizeof s->text - s->len, format, args);
        va_end(args);
        assert_true(s->len < sizeof s->text);
}

static inline void tell_headers(struct story *s, const struct http_header *headers, size_t count)
{
        for (size_t i = 0; i < count; i++)
                tell(s, " %.*s=[%.*s]", (int)headers[i].name_len, headers[i].name,
                     headers[i].value_len > 40 ? 40 : (int)headers[i].value_len, headers[i].value);
        tell(s, "\n");
}

static inline void on_request(void *ctx, unsigned index, const struct http_head *h)
{
        assert_int_equal(index, h->stream);
        tell(ctx, "Q%u %s %s %.*s %u.%u", index, h->method, h->authority, (int)h->target_len,
             h->target, h->major, h->minor);
        tell_headers(ctx, h->headers, h->header_count);
}

static inline void on_response(void *ctx, unsigned index, const struct http_head *h)
{
        tell(ctx, "R%u %u %d", index, h->status, (int)h->content_length);
        tell_headers(ctx, h->headers, h->header_count);
}

static inline void on_body_end(void *ctx, unsigned index, const struct http_end *end)
{
        static const char *const hows[] = {"", " cut", " client", " server", " short"};

        tell(ctx, "B%u %u%s%s%s%s", index, (unsigned)end->bytes, hows[end->how],
             end->answered ? "" : " unanswered", end->error ? " " : "",
             end->error ? end->error : "");
        tell_headers(ctx, end->trailers, end->trailer_count);
}

static inline void on_goaway(void *ctx, const struct http_goaway *g)
{
        tell(ctx, "G %s %s %u '%.*s'\n", g->from_server ? "server" : "client", g->error,
             g->last_stream, (int)g->debug_len, g->debug);
}

static inline void on_stopped(void *ctx, const char *why)
{
        tell(ctx, "! %s\n", why);
}

static const struct http_events events = {.request = on_request,
                                          .response = on_response,
                                          .body_end = on_body_end,
                                          .goaway = on_goaway,
                                          .stopped = on_stopped};

static inline void play(struct story *story, const struct talk *t, enum split split)
{
        struct http2 *h = http2_new(&events, story);

        for (size_t i = 0; i < t->count; i++)
                for (size_t at = 0, n; at < t->turns[i].len; at += n) {
                        size_t left = t->turns[i].len - at;
                        n = split == WHOLE ? left : split == BYTES ? 1 : 1 + (size_t)rand() % left;
                        if (n > GUARDED_CAP)
                                n = GUARDED_CAP;
                        const char *piece = guarded(t->bytes + t->turns[i].at + at, n);
                        if (t->turns[i].server)
                                http2_server(h, piece, n);
                        else
                                http2_client(h, piece, n);
                }
        http2_finish(h);
        http2_free(h);
}

/* Frees t. */
static inline void expect(struct talk *t, const char *text)
{
        struct story *story = malloc(sizeof *story);

        for (int split = 0; split < SPLIT_COUNT; split++)
                for (int round = 0; round < (split == RANDOM ? 20 : 1); round++) {
                        story->len = 0;
                        story->text[0] = '\0';
                        play(story, t, (enum split)split);
                        assert_string_equal(story->text, text);
                }
        free(story);
        talk_free(t);
}

#endif
