/* Heads of HTTP/1 messages: what is accepted, what is refused, in any segmentation, and never a
 * byte beyond the end (each sample ends at a guard page). */
#include "net/head.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static char *guarded_end; /* first byte of a page that must not be read */

static int make_guard(void **state)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 32;
        char *at = mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        (void)state;
        guarded_end = at + pages * page;
        return at == MAP_FAILED || mprotect(guarded_end, page, PROT_NONE) != 0;
}

static struct head head;

static enum head_result request(const char *text, size_t len)
{
        memcpy(guarded_end - len, text, len);
        return head_parse_request(guarded_end - len, len, &head);
}

static enum head_result response(const char *text, size_t len)
{
        memcpy(guarded_end - len, text, len);
        return head_parse_response(guarded_end - len, len, &head);
}

/* Every shorter prefix must ask for more; the whole must give the expected result. */
static void expect_request(const char *text, enum head_result expected)
{
        size_t len = strlen(text);

        if (expected == HEAD_OK)
                for (size_t i = 0; i < len; i++)
                        assert_int_equal(request(text, i), HEAD_MORE);
        assert_int_equal(request(text, len), expected);
}

static void test_requests_as_clients_send_them(void **state)
{
        (void)state;
        expect_request("CONNECT index.example:443 HTTP/1.1\r\nHost: index.example:443\r\n\r\n",
                       HEAD_OK);
        assert_true(text_is(head.method, "CONNECT"));
        assert_true(text_is(head.target, "index.example:443"));
        assert_int_equal(head.field_count, 1);
        expect_request("CONNECT index.example:443 HTTP/1.0\r\n\r\n", HEAD_OK); /* CPython to 3.11 */
        assert_int_equal(head.minor, 0);
        expect_request("GET http://a.example/ HTTP/1.1\nHost: a.example\n\n",
                       HEAD_OK);                               /* bare LF */
        expect_request("\r\nGET / HTTP/1.1\r\n\r\n", HEAD_OK); /* a leading empty line */
        expect_request("GET / HTTP/1.1\r\nEmpty:\r\nX: a\tb \r\n\r\n", HEAD_OK);
        assert_true(text_is(head.fields[1].value, "a\tb"));
}

static void test_bytes_behind_the_head_are_left(void **state)
{
        static const char text[] = "CONNECT a:1 HTTP/1.1\r\n\r\n\x16\x03\x01";

        (void)state;
        assert_int_equal(request(text, sizeof text - 1), HEAD_OK);
        assert_int_equal(head.len, sizeof text - 1 - 3);
}

static void test_refused_requests(void **state)
{
        static const char *const bad[] = {
                "GET\r\n\r\n",
                "GET /\r\n\r\n",
                "GET / HTTP/2.0\r\n\r\n",
                "GET / HTTP/1.1x\r\n\r\n",
                "G(T / HTTP/1.1\r\n\r\n",
                "GET  HTTP/1.1\r\n\r\n",
                "GET /a b HTTP/1.1\r\n\r\n",
                "GET / HTTP/1.1\r\nHost : a\r\n\r\n",        /* space before the colon */
                "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", /* obs-fold */
                "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                "GET / HTTP/1.1\r\n: empty\r\n\r\n",
                "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", /* bare CR */
        };

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                expect_request(bad[i], HEAD_BAD);
        assert_int_equal(request("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 27), HEAD_BAD);
}

static void test_limits(void **state)
{
        static char text[HEAD_MAX + 100];
        size_t len;

        (void)state;
        memset(text, 'a', sizeof text);
        memcpy(text, "GET /", 5);
        assert_int_equal(request(text, HEAD_LINE_MAX + 1), HEAD_LONG_LINE);
        len = (size_t)sprintf(text, "GET / HTTP/1.1\r\nA: ");
        memset(text + len, 'b', sizeof text - len);
        assert_int_equal(request(text, HEAD_MAX), HEAD_TOO_LONG);
        len = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");
        for (int i = 0; i <= HEAD_FIELDS_MAX; i++)
                len += (size_t)sprintf(text + len, "A: b\r\n");
        len += (size_t)sprintf(text + len, "\r\n");
        assert_int_equal(request(text, len), HEAD_TOO_LONG);
}

static void test_responses(void **state)
{
        (void)state;
        assert_int_equal(response("HTTP/1.0 200\r\n\r\n", 16), HEAD_OK); /* no reason phrase */
        assert_int_equal(head.status, 200);
        assert_int_equal(response("HTTP/1.1 407 Proxy Authentication Required\nA: b\n\n", 49),
                         HEAD_OK);
        assert_true(text_is(head.reason, "Proxy Authentication Required"));
        assert_int_equal(response("HTTP/2 200\r\n\r\n", 14), HEAD_BAD);
        assert_int_equal(response("HTTP/1.1 2xx OK\r\n\r\n", 19), HEAD_BAD);
        assert_int_equal(response("SSH-2.0-x\r\n", 11), HEAD_BAD);
        assert_int_equal(response("HTTP/1.1 20", 11), HEAD_MORE);
}

static int length_of(const char *fields, uint64_t *len)
{
        char text[300];
        int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s\r\n", fields);

        assert_int_equal(request(text, (size_t)n), HEAD_OK);
        return head_content_length(&head, len);
}

static void test_content_length(void **state)
{
        uint64_t len = 0;

        (void)state;
        assert_int_equal(length_of("A: b\r\n", &len), -ENOENT);
        assert_int_equal(length_of("Content-Length: 17\r\n", &len), 0);
        assert_int_equal(len, 17);
        assert_int_equal(length_of("Content-Length: 5\r\ncontent-length: 5\r\n", &len), 0);
        assert_int_equal(length_of("Content-Length: 5\r\nContent-Length: 6\r\n", &len), -EINVAL);
        assert_int_equal(length_of("Content-Length: +5\r\n", &len), -EINVAL);
        assert_int_equal(length_of("Content-Length: 5, 5\r\n", &len), -EINVAL);
        assert_int_equal(length_of("Content-Length: 99999999999999999999\r\n", &len), -EINVAL);
        assert_int_equal(length_of("Content-Length:\r\n", &len), -EINVAL);
}

static bool authority(const char *text, uint16_t port, struct authority *out)
{
        return authority_parse((struct text){text, strlen(text)}, port, out);
}

static void test_authorities(void **state)
{
        static const char *const bad[] = {"",     ":443",  "a:",           "a:0",  "a:65536",
                                          "a:1x", "u@a:1", "a/b:1",        "[::1", "[::1]x:1",
                                          "[]:1", "a b:1", "a:99999999999"};
        struct authority a;

        (void)state;
        assert_true(authority("Index.Example:443", 0, &a));
        assert_string_equal(a.host, "index.example");
        assert_int_equal(a.port, 443);
        assert_true(authority("[2001:DB8::1]:8443", 0, &a));
        assert_string_equal(a.host, "2001:db8::1");
        assert_true(authority("a.example", 80, &a));
        assert_int_equal(a.port, 80);
        assert_false(authority("a.example", 0, &a));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_false(authority(bad[i], 0, &a));
}

static void test_tokens(void **state)
{
        struct text t = {"close, TE ,x", 12};

        (void)state;
        assert_true(text_has_token(t, "te"));
        assert_true(text_has_token(t, "x"));
        assert_false(text_has_token(t, "clos"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_requests_as_clients_send_them),
                cmocka_unit_test(test_bytes_behind_the_head_are_left),
                cmocka_unit_test(test_refused_requests),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_responses),
                cmocka_unit_test(test_content_length),
                cmocka_unit_test(test_authorities),
                cmocka_unit_test(test_tokens),
        };

        return cmocka_run_group_tests(tests, make_guard, NULL);
}
