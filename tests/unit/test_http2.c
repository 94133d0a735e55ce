/* http2.c: conversations are fed whole, byte by byte and in random pieces against a guard page, and
 * must tell the same story; what is malformed ends in one word about it and nothing else. */
#include "http2_talk.h"
#include "inspect/http2_head.h"

static void test_exchange(void **state)
{
        struct talk *t = talk_new();

        (void)state;
        head(t, false, 1, true,
             ":method: GET\n:scheme: https\n:authority: index.example\n:path: /a?b\naccept: */*\n");
        head(t, true, 1, false, ":status: 200\ncontent-length: 5\nserver: s\n");
        frame(t, true, 0, 0, 1, "hel", 3);
        frame(t, true, 0, 1, 1, "lo", 2);
        expect(t, "Q1 GET index.example /a?b 2.0 accept=[*/*]\n"
                  "R1 200 5 content-length=[5] server=[s]\nB1 5\n");
}

static void test_streams_interleave(void **state)
{
        struct talk *t = talk_new();

        (void)state;
        request(t, 1, "/1");
        request(t, 3, "/3");
        head(t, true, 3, false, ":status: 200\n");
        head(t, true, 1, false, ":status: 100\n");
        frame(t, true, 0, 0, 3, "abc", 3);
        head(t, true, 1, true, ":status: 404\n");
        frame(t, true, 0, 8 | 1, 3, "\2xyPP", 5);
        expect(t, "Q1 GET index.example /1 2.0\nQ3 GET index.example /3 2.0\nR3 200 -1\n"
                  "R1 404 -1\nB1 0\nB3 5\n");
}

static void test_grpc(void **state)
{
        struct talk *t = talk_new();

        (void)state;
        head(t, false, 1, false,
             ":method: POST\n:scheme: https\n:authority: a\n:path: /s/m\nte: trailers\n");
        frame(t, false, 0, 1, 1, "\0\0\0\0\0", 5);
        head(t, true, 1, false, ":status: 200\n");
        frame(t, true, 0, 0, 1, "\0\0\0\0\0", 5);
        head(t, true, 1, true, "grpc-status: 5\ngrpc-message: not found\n");
        /* trailers only */
        request(t, 3, "/3");
        head(t, true, 3, true, ":status: 200\ngrpc-status: 12\n");
        expect(t, "Q1 POST a /s/m 2.0 te=[trailers]\nR1 200 -1\n"
                  "B1 5 grpc-status=[5] grpc-message=[not found]\n"
                  "Q3 GET index.example /3 2.0\nR3 200 -1 grpc-status=[12]\nB3 0\n");
}

/* Eight KiB of header over many CONTINUATION frames, padded and with a priority in front. */
static void test_continuation(void **state)
{
        struct talk *t = talk_new();
        unsigned char out[20000] = {1};
        char lines[9000] = ":method: GET\n:scheme: https\n:authority: a\n:path: /\nbig: ";
        size_t at = strlen(lines), len;

        (void)state;
        for (int i = 0; i < 8192; i++)
                lines[at++] = (char)('!' + rand() % 90);
        strcpy(lines + at, "\nafter: x\n");
        len = 6 + block(t, false, lines, out + 6, sizeof out - 7);
        out[len] = 'P';
        /* padding of one byte, behind the first part only */
        memmove(out + 107, out + 106, len - 106);
        out[106] = 'P';
        frame(t, false, 1, 1 | 8 | 0x20, 1, out, 107);
        for (size_t done = 107; done < len + 1; done += 1000) {
                size_t n = len + 1 - done < 1000 ? len + 1 - done : 1000;
                frame(t, false, 9, done + n == len + 1 ? 4 : 0, 1, out + done, n);
        }
        head(t, true, 1, true, ":status: 204\n");
        struct story *story = calloc(1, sizeof *story);
        play(story, t, WHOLE);
        assert_non_null(strstr(story->text, "Q1 GET a / 2.0 big=["));
        assert_non_null(strstr(story->text, "] after=[x]\nR1 204 -1\nB1 0\n"));
        char *same = strdup(story->text);
        free(story);
        expect(t, same);
        free(same);
}

static void test_ends(void **state)
{
        struct talk *t = talk_new();

        (void)state;
        for (uint32_t id = 1; id <= 13; id += 2)
                request(t, id, "/");
        frame(t, false, 3, 0, 1, "\0\0\0\x8", 4); /* before the answer */
        head(t, true, 3, false, ":status: 200\n");
        frame(t, false, 3, 0, 3, "\0\0\0\x8", 4);
        head(t, true, 5, false, ":status: 200\n");
        frame(t, true, 0, 0, 5, "ab", 2);
        frame(t, true, 3, 0, 5, "\0\0\0\x2", 4);
        head(t, true, 7, false, ":status: 200\ncontent-length: 10\n");
        frame(t, true, 0, 1, 7, "abc", 3);
        frame(t, true, 7, 0, 0,
              "\0\0\0\x9\0\0\0\xb"
              "too much",
              16);
        head(t, true, 9, false, ":status: 200\n");
        frame(t, true, 0, 0, 9, "abcd", 4);
        frame(t, true, 3, 0, 11, "\0\0\0\x7", 4);
        expect(t, "Q1 GET index.example / 2.0\nQ3 GET index.example / 2.0\n"
                  "Q5 GET index.example / 2.0\nQ7 GET index.example / 2.0\n"
                  "Q9 GET index.example / 2.0\nQ11 GET index.example / 2.0\n"
                  "Q13 GET index.example / 2.0\n"
                  "B1 0 client unanswered CANCEL\nR3 200 -1\nB3 0 client CANCEL\n"
                  "R5 200 -1\nB5 2 server INTERNAL_ERROR\n"
                  "R7 200 10 content-length=[10]\nB7 3 short\n"
                  "G server ENHANCE_YOUR_CALM 9 'too much'\nR9 200 -1\n"
                  "B11 0 server unanswered REFUSED_STREAM\nB9 4 cut\n");
}

static void test_head_and_304_have_no_body(void **state)
{
        struct talk *t = talk_new();

        (void)state;
        head(t, false, 1, true, ":method: HEAD\n:scheme: https\n:authority: a\n:path: /\n");
        head(t, true, 1, true, ":status: 200\ncontent-length: 10\n");
        request(t, 3, "/");
        head(t, true, 3, true, ":status: 304\ncontent-length: 10\n");
        expect(t, "Q1 HEAD a / 2.0\nR1 200 10 content-length=[10]\nB1 0\n"
                  "Q3 GET index.example / 2.0\nR3 304 10 content-length=[10]\nB3 0\n");
}

/* A table larger than the default is allowed by the reader, used by the writer, and followed. */
static void test_larger_table(void **state)
{
        struct talk *t = talk_new();
        char lines[2100];
        struct story *story = calloc(1, sizeof *story);

        (void)state;
        frame(t, true, 4, 0, 0, "\0\1\0\1\0\0\0\4\0\0\xff\xff", 12);
        assert_int_equal(nghttp2_hd_deflate_change_table_size(t->client, 65536), 0);
        for (uint32_t id = 1; id < 60; id += 2) {
                int len = snprintf(
                        lines, sizeof lines,
                        ":method: GET\n:scheme: https\n:authority: a\n:path: /\nx-%u: ", id % 20);
                memset(lines + len, 'a' + (int)id % 20, 1000);
                strcpy(lines + len + 1000, "\n");
                head(t, false, id, true, lines);
        }
        play(story, t, WHOLE);
        assert_null(strchr(story->text, '!'));
        assert_non_null(strstr(story->text, "Q59 GET a / 2.0 x-19=[ttt"));
        char *same = strdup(story->text);
        free(story);
        expect(t, same);
        free(same);
}

static void promise(struct talk *t, uint8_t stream, const char *fields)
{
        unsigned char out[200] = {0, 0, 0, stream};
        size_t len = block(t, true, fields, out + 4, sizeof out - 4);

        frame(t, true, 5, 4, 1, out, len + 4);
}

static void test_server_push(void **state)
{
        struct talk *t = talk_new();

        (void)state;
        request(t, 1, "/");
        promise(t, 2, ":method: GET\n:scheme: https\n:authority: a\n:path: /pushed\n");
        head(t, true, 1, true, ":status: 200\n");
        head(t, true, 2, false, ":status: 200\n");
        frame(t, true, 0, 1, 2, "x", 1);
        expect(t, "Q1 GET index.example / 2.0\nQ2 GET a /pushed 2.0\nR1 200 -1\nB1 0\nR2 200 -1\n"
                  "B2 1\n");
}

/* RFC 9113 section 5.1.1: numbers of streams only rise, and each side has its own. */
static void test_a_promise_is_made_once(void **state)
{
        static const char fields[] =
                ":method: GET\n:scheme: https\n:authority: a\n:path: /pushed\n";
        struct talk *t = talk_new();

        (void)state;
        request(t, 1, "/");
        promise(t, 4, fields);
        head(t, true, 4, true, ":status: 200\n");
        promise(t, 4, fields); /* had its answer */
        promise(t, 2, fields);
        head(t, true, 1, true, ":status: 200\n");
        request(t, 3, "/"); /* below what was promised */
        request(t, 6, "/"); /* not the client's to open */
        expect(t, "Q1 GET index.example / 2.0\nQ4 GET a /pushed 2.0\nR4 200 -1\nB4 0\n"
                  "R1 200 -1\nB1 0\nQ3 GET index.example / 2.0\n");
}

/* ---- what is malformed ---- */

static void test_malformed(void **state)
{
        struct talk *t = talk_new();

        (void)state;
        frame(t, false, 1, 5, 1, "\xff\xff\xff\xff\xff\xff", 6);
        request(t, 3, "/");
        expect(t, "! a header block cannot be decompressed\n");
        t = talk_new();
        frame(t, false, 9, 5, 1, "", 0);
        expect(t, "! a header block begins in the middle\n");
        t = talk_new();
        frame(t, false, 1, 1, 1, "\x82", 1);
        frame(t, false, 6, 0, 0, "12345678", 8);
        expect(t, "! a header block is interrupted\n");
        t = talk_new();
        frame(t, true, 0, 8, 1, "\x9", 1);
        expect(t, "! a frame's length cannot be\n");
        t = calloc(1, sizeof *t);
        say(t, false, "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", 24);
        expect(t, "! the client does not begin with HTTP/2's preface\n");
        t = calloc(1, sizeof *t);
        frame(t, true, 0, 0, 1, "x", 1);
        expect(t, "! the server does not begin with its settings\n");
}

/* An answer without a request, data without an answer, a request without a path: nothing to tell,
 * nothing that stops. */
static void test_nonsense_is_passed_over(void **state)
{
        struct talk *t = talk_new();

        (void)state;
        head(t, true, 7, true, ":status: 200\n");
        frame(t, true, 0, 1, 9, "x", 1);
        head(t, false, 1, true, "a: b\n");
        head(t, true, 1, true, ":status: 200\n");
        frame(t, true, 3, 0, 1, "abc", 3);
        frame(t, true, 7, 0, 0, "abc", 3);
        request(t, 3, "/");
        frame(t, true, 0, 1, 3, "x", 1);
        head(t, true, 3, true, ":status: 2x0\n");
        expect(t, "Q3 GET index.example / 2.0\nR3 0 -1 :status=[2x0]\nB3 0\n");
}

/* More streams than are followed: the first ones are, and nothing grows. */
static void test_endless_streams(void **state)
{
        struct story *story = calloc(1, sizeof *story);
        struct talk *t = talk_new();
        struct http2 *h = http2_new(&events, story);

        (void)state;
        for (size_t i = 0; i < t->count; i++)
                if (!t->turns[i].server)
                        http2_client(h, t->bytes + t->turns[i].at, t->turns[i].len);
        for (uint32_t id = 1; id < 100000; id += 2) {
                story->len = 0;
                t->len = t->count = 0;
                request(t, id, "/");
                http2_client(h, t->bytes, t->len);
        }
        assert_true(http2_is_active(h));
        assert_int_equal(story->len, 0);
        http2_free(h);
        talk_free(t);
        free(story);
}

/* Of an endless block the beginning is kept. */
static void test_endless_block(void **state)
{
        struct story *story = calloc(1, sizeof *story);
        struct http2 *h = http2_new(&events, story);
        unsigned char more[] = "\0\0\x42\x9\0\0\0\0\1\0\x1"
                               "n\x3e"
                               "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";

        (void)state;
        http2_client(h, http2_preface, 24);
        http2_client(h, "\0\0\4\1\1\0\0\0\1\x82\x87\x84\x81", 13);
        more[2] = (unsigned char)(sizeof more - 1 - 9);
        for (int i = 0; i < 100000; i++)
                http2_client(h, (const char *)more, sizeof more - 1);
        assert_true(http2_is_active(h));
        http2_client(h, "\0\0\0\x9\4\0\0\0\1", 9);
        assert_true(http2_is_active(h));
        assert_non_null(strstr(story->text, "Q1 GET "));
        http2_free(h);
        free(story);
}

/* The tap copies heads only. */
static void test_skip(void **state)
{
        struct story story = {.len = 0};
        struct talk *t = talk_new();
        struct http2 *h = http2_new(&events, &story);

        (void)state;
        request(t, 1, "/");
        head(t, true, 1, false, ":status: 200\n");
        say(t, true, "\0\1\0\0\1\0\0\0\1", 9);
        for (size_t i = 0; i < t->count; i++)
                (t->turns[i].server ? http2_server : http2_client)(h, t->bytes + t->turns[i].at,
                                                                   t->turns[i].len);
        http2_server_skip(h, 200);
        http2_server_skip(h, 56);
        assert_string_equal(story.text, "Q1 GET index.example / 2.0\nR1 200 -1\nB1 256\n");
        http2_server_skip(h, 1);
        assert_false(http2_is_active(h));
        http2_free(h);
        talk_free(t);
}

/* Bytes of any kind never crash it; the guard page and the sanitizers watch. */
static void test_noise(void **state)
{
        struct story *story = calloc(1, sizeof *story);
        struct talk *t = talk_new();
        char *whole;

        (void)state;
        request(t, 1, "/");
        head(t, true, 1, false, ":status: 200\ncontent-length: 3\n");
        frame(t, true, 0, 8, 1, "\2abcPP", 6);
        head(t, true, 1, true, "grpc-status: 0\n");
        frame(t, true, 7, 0, 0, "\0\0\0\1\0\0\0\0", 8);
        whole = malloc(t->len);
        memcpy(whole, t->bytes, t->len);
        for (int round = 0; round < 5000; round++) {
                for (int i = 0; i < 3; i++)
                        t->bytes[24 + (size_t)rand() % (t->len - 24)] = (char)rand();
                story->len = 0;
                play(story, t, round & 1 ? WHOLE : RANDOM);
                memcpy(t->bytes, whole, t->len);
        }
        free(whole);
        free(story);
        talk_free(t);
}

/* The relay died when there was no memory for an inflater: what was not made was freed. */
static void test_end_of_a_head_that_failed(void **state)
{
        struct http2_head head = {0};

        (void)state;
        http2_head_fini(&head);
        assert_null(head.inflater);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exchange),
                cmocka_unit_test(test_streams_interleave),
                cmocka_unit_test(test_grpc),
                cmocka_unit_test(test_continuation),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_head_and_304_have_no_body),
                cmocka_unit_test(test_larger_table),
                cmocka_unit_test(test_server_push),
                cmocka_unit_test(test_a_promise_is_made_once),
                cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_nonsense_is_passed_over),
                cmocka_unit_test(test_endless_streams),
                cmocka_unit_test(test_endless_block),
                cmocka_unit_test(test_skip),
                cmocka_unit_test(test_noise),
                cmocka_unit_test(test_end_of_a_head_that_failed),
        };

        srand(1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
