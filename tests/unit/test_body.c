/* Ends of HTTP/1 bodies. Each chunked body is fed whole, byte by byte, and in pieces of every size;
 * what could be read in two ways has to be refused in all of them. */
#include "net/body.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct head head;

static const char *framing_of_request(const char *version, const char *fields, struct body *out)
{
        static char text[1000];
        int n = snprintf(text, sizeof text, "POST / HTTP/%s\r\n%s\r\n", version, fields);

        assert_int_equal(head_parse_request(text, (size_t)n, &head), HEAD_OK);
        return body_of_request(&head, out);
}

static const char *framing_of_response(const char *line, const char *fields, bool to_head,
                                       struct body *out, bool *faulty)
{
        static char text[1000];
        int n = snprintf(text, sizeof text, "%s\r\n%s\r\n", line, fields);

        assert_int_equal(head_parse_response(text, (size_t)n, &head), HEAD_OK);
        return body_of_response(&head, to_head, out, faulty);
}

static void test_requests(void **state)
{
        struct body b;

        (void)state;
        assert_null(framing_of_request("1.1", "", &b));
        assert_true(body_is_done(&b));
        assert_null(framing_of_request("1.1", "Content-Length: 0\r\n", &b));
        assert_true(body_is_done(&b));
        assert_null(framing_of_request("1.0", "Content-Length: 7\r\n", &b));
        assert_int_equal(b.kind, BODY_LENGTH);
        assert_int_equal(b.left, 7);
        assert_null(framing_of_request("1.1", "Transfer-Encoding: Chunked\r\n", &b));
        assert_int_equal(b.kind, BODY_CHUNKED);
}

static void test_requests_that_could_smuggle(void **state)
{
        static const char *const bad[] = {
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                "Transfer-Encoding: gzip\r\n",
                "Transfer-Encoding: gzip, chunked\r\n",
                "Transfer-Encoding: chunked, identity\r\n",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                "Transfer-Encoding: xchunked\r\n",
                "Transfer-Encoding: \"chunked\"\r\n",
                "Transfer-Encoding:\r\n",
                "Content-Length: 3\r\nContent-Length: 4\r\n",
                "Content-Length: 3, 4\r\n",
                "Content-Length: +3\r\n",
                "Content-Length: -3\r\n",
                "Content-Length: 3 3\r\n",
                "Content-Length: 0x3\r\n",
                "Content-Length: 99999999999999999999\r\n",
                "Content-Length:\r\n",
        };
        struct body b;

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_non_null(framing_of_request("1.1", bad[i], &b));
        assert_non_null(framing_of_request("1.0", "Transfer-Encoding: chunked\r\n", &b));
}

static void test_responses(void **state)
{
        struct body b;
        bool faulty;

        (void)state;
        assert_null(framing_of_response("HTTP/1.1 200 OK", "Content-Length: 9\r\n", false, &b,
                                        &faulty));
        assert_int_equal(b.left, 9);
        assert_false(faulty);
        assert_null(framing_of_response("HTTP/1.1 200 OK", "", false, &b, &faulty));
        assert_int_equal(b.kind, BODY_UNTIL_CLOSE);
        assert_null(
                framing_of_response("HTTP/1.1 200 OK", "Content-Length: 9\r\n", true, &b, &faulty));
        assert_true(body_is_done(&b));
        assert_null(
                framing_of_response("HTTP/1.1 304 x", "Content-Length: 9\r\n", false, &b, &faulty));
        assert_true(body_is_done(&b));
        assert_null(framing_of_response("HTTP/1.1 204 x", "Transfer-Encoding: chunked\r\n", false,
                                        &b, &faulty));
        assert_true(body_is_done(&b));
        assert_null(framing_of_response("HTTP/1.1 200 OK", "Transfer-Encoding: identity\r\n", false,
                                        &b, &faulty));
        assert_int_equal(b.kind, BODY_UNTIL_CLOSE);
}

static void test_responses_that_others_may_read_otherwise(void **state)
{
        struct body b;
        bool faulty;

        (void)state;
        assert_null(framing_of_response("HTTP/1.1 200 OK",
                                        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                                        false, &b, &faulty));
        assert_int_equal(b.kind, BODY_CHUNKED);
        assert_true(faulty);
        assert_null(framing_of_response("HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n", false,
                                        &b, &faulty));
        assert_true(faulty);
        assert_non_null(framing_of_response("HTTP/1.1 200 OK", "Transfer-Encoding: gzip\r\n", false,
                                            &b, &faulty));
        assert_non_null(framing_of_response("HTTP/1.1 200 OK",
                                            "Content-Length: 3\r\nContent-Length: 4\r\n", false, &b,
                                            &faulty));
}

/* Feed text in pieces of step bytes. *used: how many belong to the body; out gets what body_take
 * keeps. */
static enum body_result feed(const char *text, size_t len, size_t step, bool coding_stays,
                             size_t *used, char *out, size_t *out_len)
{
        struct body b = {.kind = BODY_CHUNKED, .coding_stays = coding_stays};
        enum body_result result = BODY_MORE;

        *used = *out_len = 0;
        while (result == BODY_MORE && *used < len) {
                size_t n = step < len - *used ? step : len - *used, took, kept;
                char *piece = malloc(n); /* so that ASan sees a byte too many */

                memcpy(piece, text + *used, n);
                result = body_take(&b, piece, n, &took, &kept);
                if (result != BODY_BAD)
                        memcpy(out + *out_len, piece, kept);
                free(piece);
                if (result == BODY_BAD)
                        return result;
                *used += took;
                *out_len += kept;
        }
        return result;
}

static void expect_body(const char *text, const char *content)
{
        char next[2000], out[2000];
        size_t len = strlen(text), used, out_len;
        int whole = snprintf(next, sizeof next, "%sGET / HTTP/1.1", text);

        for (size_t step = 1; step <= (size_t)whole; step++) {
                assert_int_equal(feed(next, (size_t)whole, step, true, &used, out, &out_len),
                                 BODY_DONE);
                assert_int_equal(used, len);
                assert_memory_equal(out, text, len);
                assert_int_equal(feed(next, (size_t)whole, step, false, &used, out, &out_len),
                                 BODY_DONE);
                assert_int_equal(used, len);
                assert_int_equal(out_len, strlen(content));
                assert_memory_equal(out, content, out_len);
        }
}

static void test_chunked_bodies(void **state)
{
        (void)state;
        expect_body("0\r\n\r\n", "");
        expect_body("3\r\nabc\r\n0\r\n\r\n", "abc");
        expect_body("3\r\nabc\r\nA\r\n0123456789\r\n000\r\n\r\n", "abc0123456789");
        expect_body("3;name=\"va;l\"\r\n\r\n0\r\n0;last\r\n\r\n", "\r\n0");
        expect_body("0\r\nTrailer-One: a b\r\nTwo:\r\n\r\n", "");
}

static void test_bodies_that_are_not_chunked(void **state)
{
        static const char *const bad[] = {
                "\r\n",
                "x\r\n",
                " 3\r\n",
                "+3\r\n",
                "-3\r\n",
                "0x3\r\n",
                "3 \r\n",
                "3\n",
                "3\r3",
                "3;a\nb\r\n",
                "3;a\rb",
                "3;\1\r\n",
                "3\r\nabcd",
                "3\r\nabc\n",
                "3\r\nabc\r\r",
                "3\r\nabc\r\n\r\n",
                "10000000000000000\r\n",
                "0\r\n:a\r\n",
                "0\r\na b: c\r\n",
                "0\r\na\r\n",
                "0\r\na: b\n",
                "0\r\na: b\r\r",
                "0\r\na: b\r\n c\r\n",
                "0\r\n\r\r",
                "0\r\n\n",
        };
        char out[2000];
        size_t used, out_len;

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                for (size_t step = 1; step <= strlen(bad[i]); step++)
                        assert_int_equal(
                                feed(bad[i], strlen(bad[i]), step, true, &used, out, &out_len),
                                BODY_BAD);
}

static void test_chunk_lines_and_trailers_are_bounded(void **state)
{
        static char text[100000], out[100000];
        size_t used, out_len;

        (void)state;
        memset(text, 'a', sizeof text);
        memcpy(text, "3;", 2);
        assert_int_equal(feed(text, 4000, 4000, true, &used, out, &out_len), BODY_BAD);
        memcpy(text, "0\r\n", 3);
        assert_int_equal(feed(text, sizeof text, 65536, true, &used, out, &out_len), BODY_BAD);
}

static void test_lengths(void **state)
{
        struct body b = {.kind = BODY_LENGTH, .left = 5, .coding_stays = true};
        char text[] = "abcdefgh";
        size_t used, kept;

        (void)state;
        assert_int_equal(body_take(&b, text, 3, &used, &kept), BODY_MORE);
        assert_int_equal(used, 3);
        assert_int_equal(body_take(&b, text, 8, &used, &kept), BODY_DONE);
        assert_int_equal(used, 2);
        assert_true(body_is_done(&b));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_requests),
                cmocka_unit_test(test_requests_that_could_smuggle),
                cmocka_unit_test(test_responses),
                cmocka_unit_test(test_responses_that_others_may_read_otherwise),
                cmocka_unit_test(test_chunked_bodies),
                cmocka_unit_test(test_bodies_that_are_not_chunked),
                cmocka_unit_test(test_chunk_lines_and_trailers_are_bounded),
                cmocka_unit_test(test_lengths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
