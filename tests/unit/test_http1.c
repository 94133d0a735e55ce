/* http1.c: every sample is fed whole, byte by byte and in random pieces, and must tell the same
 * story. A sample is a list of turns; what was reported is compared as text, one line per event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "inspect/http1.h"

struct story {
        char text[8192];
        size_t len;
};

__attribute__((format(printf, 2, 3))) static void tell(struct story *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        s->len += (size_t)vsnprintf(s->text + s->len, sizeof s->text - s->len, format, args);
        va_end(args);
        assert_true(s->len < sizeof s->text);
}

static void tell_headers(struct story *s, const struct http_head *head)
{
        for (size_t i = 0; i < head->header_count; i++)
                tell(s, " %.*s=[%.*s]", (int)head->headers[i].name_len, head->headers[i].name,
                     (int)head->headers[i].value_len, head->headers[i].value);
        tell(s, "\n");
}

static void on_request(void *ctx, unsigned index, const struct http_head *head)
{
        tell(ctx, "Q%u %s %.*s %u.%u", index, head->method, (int)head->target_len, head->target,
             head->major, head->minor);
        tell_headers(ctx, head);
}

static void on_response(void *ctx, unsigned index, const struct http_head *head)
{
        tell(ctx, "R%u %u '%.*s' %d", index, head->status, (int)head->reason_len, head->reason,
             (int)head->content_length);
        tell_headers(ctx, head);
}

static void on_body_end(void *ctx, unsigned index, const struct http_end *end)
{
        tell(ctx, "B%u %u%s\n", index, (unsigned)end->bytes,
             end->how == HTTP_COMPLETE ? "" : " cut");
}

static void on_stopped(void *ctx, const char *why)
{
        tell(ctx, "S %s\n", why);
}

static const struct http_events events = {.request = on_request,
                                          .response = on_response,
                                          .body_end = on_body_end,
                                          .stopped = on_stopped};

/* '>' the client says, '<' the server says, '.' the server's stream ends, '!' all is over. */
struct turn {
        char who;
        const char *text;
};

struct sample {
        const char *name;
        struct turn turns[10];
        const char *story;
        bool active; /* at the end */
};

#define H "HTTP/1.1 "
#define N "\r\n"

static const struct sample samples[] = {
        {"length",
         {{'>', "GET /a HTTP/1.1" N "Host: h" N "Empty:" N "Pad:   x y  " N N},
          {'<', H "200 OK" N "Content-Length: 5" N N "hello"}},
         "Q0 GET /a 1.1 Host=[h] Empty=[] Pad=[x y]\nR0 200 'OK' 5 Content-Length=[5]\nB0 5\n",
         true},
        {"no reason, bare LF",
         {{'>', "GET / HTTP/1.0\n\n"}, {'<', "HTTP/1.0 200\nContent-Length: 0\n\n"}},
         "Q0 GET / 1.0\nR0 200 '' 0 Content-Length=[0]\nB0 0\n",
         true},
        {"chunked with trailers, then a second",
         {{'>', "GET /1 HTTP/1.1" N N},
          {'<', H "200 OK" N "Transfer-Encoding: chunked" N N "3" N "abc" N "A;x=y" N "0123456789" N
                  "0" N "Trailer: t" N N},
          {'>', "GET /2 HTTP/1.1" N N},
          {'<', H "404 Not Found" N "Content-Length: 2" N N "no"}},
         "Q0 GET /1 1.1\nR0 200 'OK' -1 Transfer-Encoding=[chunked]\nB0 13\nQ1 GET /2 1.1\n"
         "R1 404 'Not Found' 2 Content-Length=[2]\nB1 2\n",
         true},
        {"pipelined, with HEAD, 204 and 304",
         {{'>', "HEAD /1 HTTP/1.1" N N "GET /2 HTTP/1.1" N N "GET /3 HTTP/1.1" N N
                "GET /4 HTTP/1.1" N N},
          {'<', H "200 OK" N "Content-Length: 10" N N H "204 Gone" N N H "304 Same" N
                  "Content-Length: 7" N N H "200 OK" N "Content-Length: 1" N N "x"}},
         "Q0 HEAD /1 1.1\nQ1 GET /2 1.1\nQ2 GET /3 1.1\nQ3 GET /4 1.1\n"
         "R0 200 'OK' 10 Content-Length=[10]\nB0 0\nR1 204 'Gone' -1\nB1 0\n"
         "R2 304 'Same' 7 Content-Length=[7]\nB2 0\nR3 200 'OK' 1 Content-Length=[1]\nB3 1\n",
         true},
        {"until close",
         {{'>', "GET / HTTP/1.0" N N}, {'<', "HTTP/1.0 200 OK" N N "some bytes"}, {'.', ""}},
         "Q0 GET / 1.0\nR0 200 'OK' -1\nB0 10\n",
         false},
        {"cut short",
         {{'>', "GET / HTTP/1.1" N N},
          {'<', H "200 OK" N "Content-Length: 100" N N "some bytes"},
          {'.', ""},
          {'!', ""}},
         "Q0 GET / 1.1\nR0 200 'OK' 100 Content-Length=[100]\nB0 10 cut\n",
         false},
        {"client went away",
         {{'>', "GET / HTTP/1.1" N N}, {'<', H "200 OK" N N "some"}, {'!', ""}},
         "Q0 GET / 1.1\nR0 200 'OK' -1\nB0 4 cut\n",
         false},
        {"continue, then the answer",
         {{'>', "POST / HTTP/1.1" N "Content-Length: 4" N "Expect: 100-continue" N N},
          {'<', H "100 Continue" N N},
          {'>', "body"},
          {'<', H "103 Early Hints" N "Link: x" N N H "201 Created" N "Content-Length: 0" N N}},
         "Q0 POST / 1.1 Content-Length=[4] Expect=[100-continue]\n"
         "R0 201 'Created' 0 Content-Length=[0]\nB0 0\n",
         true},
        {"answer before the request's end",
         {{'>', "POST / HTTP/1.1" N "Content-Length: 400" N N "some"},
          {'<', H "413 Too Large" N "Content-Length: 2" N N "no"}},
         "Q0 POST / 1.1 Content-Length=[400]\nR0 413 'Too Large' 2 Content-Length=[2]\nB0 2\n",
         true},
        {"answer to half a head",
         {{'>', "GET /so-far"}, {'<', H "408 Timeout" N "Content-Length: 0" N N}, {'!', ""}},
         "R0 408 'Timeout' 0 Content-Length=[0]\nB0 0\n",
         false},
        {"websocket",
         {{'>', "GET /ws HTTP/1.1" N "Connection: Upgrade" N "Upgrade: websocket" N N},
          {'<', H "101 Switching Protocols" N "Connection: Upgrade" N "Upgrade: websocket" N N
                  "\x81\x02hi"},
          {'>', "\x81\x82wxyz"},
          {'!', ""}},
         "Q0 GET /ws 1.1 Connection=[Upgrade] Upgrade=[websocket]\n"
         "R0 101 'Switching Protocols' -1 Connection=[Upgrade] Upgrade=[websocket]\n",
         false},
        {"upgrade ignored",
         {{'>', "GET /1 HTTP/1.1" N "Connection: Upgrade" N "Upgrade: h2c" N N},
          {'<', H "200 OK" N "Content-Length: 1" N N "x"},
          {'>', "GET /2 HTTP/1.1" N N},
          {'<', H "200 OK" N "Content-Length: 2" N N "xy"}},
         "Q0 GET /1 1.1 Connection=[Upgrade] Upgrade=[h2c]\nR0 200 'OK' 1 Content-Length=[1]\nB0 "
         "1\n"
         "Q1 GET /2 1.1\nR1 200 'OK' 2 Content-Length=[2]\nB1 2\n",
         true},
        {"connect",
         {{'>', "CONNECT h:443 HTTP/1.1" N "Host: h:443" N N},
          {'<', H "200 Connection established" N N "\x16\x03"},
          {'>', "\x16\x03\x01"}},
         "Q0 CONNECT h:443 1.1 Host=[h:443]\nR0 200 'Connection established' -1\n",
         false},
        {"connect refused, then again",
         {{'>', "CONNECT h:443 HTTP/1.1" N N},
          {'<', H "407 Who" N "Content-Length: 3" N N "who"},
          {'>', "CONNECT h:443 HTTP/1.1" N "Proxy-Authorization: Basic x" N N},
          {'<', H "200 OK" N N}},
         "Q0 CONNECT h:443 1.1\nR0 407 'Who' 3 Content-Length=[3]\nB0 3\n"
         "Q1 CONNECT h:443 1.1 Proxy-Authorization=[Basic x]\nR1 200 'OK' -1\n",
         false},
        {"tunnel bytes before the answer",
         {{'>', "CONNECT h:443 HTTP/1.1" N N "\x16\x03\x01 early"}, {'<', H "200 OK" N N}},
         "Q0 CONNECT h:443 1.1\nR0 200 'OK' -1\n",
         false},
        {"not HTTP", {{'>', "\x16\x03\x01\x02"}, {'<', "xyz"}}, "", false},
        {"server speaks first", {{'<', "SSH-2.0-x" N}, {'>', "SSH-2.0-y" N}}, "", false},
        {"HTTP/2", {{'>', "PRI * HTTP/2.0" N N "SM" N N}}, "", false},
        {"garbage in the middle",
         {{'>', "GET /1 HTTP/1.1" N N "\x01\x02"},
          {'<', H "200 OK" N "Content-Length: 2" N N "ok"}},
         "Q0 GET /1 1.1\nR0 200 'OK' 2 Content-Length=[2]\nB0 2\n",
         false},
        {"bad chunk",
         {{'>', "GET / HTTP/1.1" N N},
          {'<', H "200 OK" N "Transfer-Encoding: chunked" N N "2" N "ab" N "zz" N},
          {'!', ""}},
         "Q0 GET / 1.1\nR0 200 'OK' -1 Transfer-Encoding=[chunked]\nB0 2 cut\n",
         false},
        {"length and chunked",
         {{'>', "GET / HTTP/1.1" N N},
          {'<', H "200 OK" N "Content-Length: 9" N "Transfer-Encoding: chunked" N N "2" N "ab" N
                  "0" N N}},
         NULL, /* the stated length is the library's own idea; only the body counts */
         true},
};

/* SPLIT_UNREAD: byte by byte, and what need not be read is not, in pieces. */
enum split { SPLIT_NONE, SPLIT_BYTES, SPLIT_RANDOM, SPLIT_UNREAD };

static size_t piece_len(enum split split, size_t left)
{
        if (split == SPLIT_NONE)
                return left;
        if (split == SPLIT_BYTES || split == SPLIT_UNREAD)
                return 1;
        return 1 + (size_t)rand() % (left < 9 ? left : 9);
}

static void feed(struct http1 *h, const struct turn *turn, enum split split)
{
        size_t left = strlen(turn->text);
        const char *at = turn->text;

        while (left) {
                size_t len = piece_len(split, left);
                uint64_t unread = turn->who == '<' ? http1_server_left(h) : 0;

                if (split == SPLIT_UNREAD && unread > 0) {
                        len = unread < left ? (size_t)unread : left;
                        len = len > 2 ? len / 2 : len;
                        http1_server_skip(h, len);
                        at += len;
                        left -= len;
                        continue;
                }
                /* A copy of its own, so that the sanitizer sees a read beyond the piece. */
                char *piece = malloc(len);
                memcpy(piece, at, len);
                if (turn->who == '>')
                        http1_client(h, piece, len);
                else
                        http1_server(h, piece, len);
                free(piece);
                at += len;
                left -= len;
        }
}

static void play(const struct sample *sample, enum split split)
{
        struct story story = {.len = 0};
        struct http1 *h = http1_new(&events, &story);

        assert_non_null(h);
        for (const struct turn *turn = sample->turns; turn->who; turn++) {
                if (turn->who == '.')
                        http1_server_eof(h);
                else if (turn->who == '!')
                        http1_finish(h);
                else
                        feed(h, turn, split);
        }
        if (sample->story)
                assert_string_equal(story.text, sample->story);
        else
                assert_non_null(strstr(story.text, "B0 2\n"));
        assert_int_equal(http1_is_active(h), sample->active);
        http1_free(h);
}

static void test_samples(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
                print_message("  %s\n", samples[i].name);
                play(&samples[i], SPLIT_NONE);
                play(&samples[i], SPLIT_BYTES);
                play(&samples[i], SPLIT_UNREAD);
                for (int round = 0; round < 200; round++)
                        play(&samples[i], SPLIT_RANDOM);
        }
}

/* More than a size_t's worth of a 32-bit machine, and never a read of the caller's memory. */
static void test_unread_body(void **state)
{
        static const struct turn ask = {'>', "GET / HTTP/1.1" N N},
                                 answer = {'<',
                                           H "200 OK" N "Content-Length: 3000000000" N N "abc"},
                                 next = {'<', H "204 No" N N};
        struct story story = {.len = 0};
        struct http1 *h = http1_new(&events, &story);

        (void)state;
        feed(h, &ask, SPLIT_NONE);
        assert_int_equal(http1_server_left(h), 0);
        feed(h, &answer, SPLIT_NONE);
        assert_int_equal(http1_server_left(h), 2999999997);
        http1_server_skip(h, 2999999996);
        assert_null(strstr(story.text, "B0"));
        http1_server_skip(h, http1_server_left(h));
        assert_non_null(strstr(story.text, "B0 3000000000\n"));
        assert_int_equal(http1_server_left(h), 0);
        feed(h, &ask, SPLIT_NONE);
        feed(h, &next, SPLIT_NONE);
        assert_non_null(strstr(story.text, "R1 204"));
        http1_free(h);
}

/* A head that never ends is not kept, and that is told. */
static void test_long_head(void **state)
{
        struct story story = {.len = 0};
        struct http1 *h = http1_new(&events, &story);
        char line[1024];

        (void)state;
        memset(line, 'x', sizeof line);
        http1_client(h, "GET / HTTP/1.1\r\nA: ", 19);
        for (int i = 0; i < 100 && http1_is_active(h); i++)
                http1_client(h, line, sizeof line);
        assert_false(http1_is_active(h));
        assert_string_equal(story.text, "S a head is too long\n");
        http1_free(h);
}

static void test_many_headers(void **state)
{
        struct story story = {.len = 0};
        struct http1 *h = http1_new(&events, &story);

        (void)state;
        http1_client(h, "GET / HTTP/1.1\r\n", 16);
        for (int i = 0; i < 2000 && http1_is_active(h); i++)
                http1_client(h, "A: b\r\n", 6);
        assert_false(http1_is_active(h));
        assert_string_equal(story.text, "S a head has too many fields\n");
        http1_free(h);
}

/* More requests without an answer than are worth remembering: silence, not memory. */
static void test_endless_pipeline(void **state)
{
        struct story story = {.len = 0};
        struct http1 *h = http1_new(&events, &story);

        (void)state;
        for (int i = 0; i < 1000; i++) {
                story.len = 0;
                http1_client(h, "GET / HTTP/1.1\r\n\r\n", 18);
        }
        assert_true(http1_is_active(h)); /* what was asked may still be answered */
        for (int i = 0; i < 128; i++) {
                story.len = 0;
                http1_server(h, "HTTP/1.1 204 No\r\n\r\n", 19);
        }
        assert_false(http1_is_active(h));
        http1_free(h);
}

/* Bytes of any kind never crash it; the sanitizers watch. */
static void test_noise(void **state)
{
        static const char *const seeds[] = {
                "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};

        (void)state;
        for (int round = 0; round < 20000; round++) {
                struct story story = {.len = 0};
                struct http1 *h = http1_new(&events, &story);
                for (int i = 0; i < 6; i++) {
                        char text[128];
                        snprintf(text, sizeof text, "%s", seeds[rand() % 3]);
                        text[(size_t)rand() % strlen(text)] = (char)(1 + rand() % 255);
                        struct turn turn = {rand() & 1 ? '>' : '<', text};
                        feed(h, &turn, SPLIT_RANDOM);
                }
                http1_finish(h);
                http1_free(h);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_samples),   cmocka_unit_test(test_unread_body),
                cmocka_unit_test(test_long_head), cmocka_unit_test(test_many_headers),
                cmocka_unit_test(test_noise),     cmocka_unit_test(test_endless_pipeline),
        };

        srand(1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
