/* Heads of forwarded messages: what goes on, in which form, and what ends here. */
#include "net/forward_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct head head;
static char text[2000];
static char *printed; /* by the last call; freed by the next */

static void parse_request(const char *request)
{
        strcpy(text, request);
        assert_int_equal(head_parse_request(text, strlen(text), &head), HEAD_OK);
}

static const char *request(const char *from, bool to_proxy, const char *via)
{
        struct forward_target target;
        struct forward_request r = {
                .head = &head, .target = &target, .to_proxy = to_proxy, .via = via};
        size_t len;
        FILE *out;

        parse_request(from);
        assert_true(forward_target_parse(head.target, &target));
        free(printed);
        out = open_memstream(&printed, &len);
        forward_print_request(out, &r);
        fclose(out);
        return printed;
}

static const char *response(const char *from, bool close)
{
        struct body body;
        bool faulty;
        struct forward_response r = {.head = &head, .body = &body, .close = close, .via = "me"};
        size_t len;
        FILE *out;

        strcpy(text, from);
        assert_int_equal(head_parse_response(text, strlen(text), &head), HEAD_OK);
        assert_null(body_of_response(&head, false, &body, &faulty));
        r.chunked = body.kind == BODY_CHUNKED;
        free(printed);
        out = open_memstream(&printed, &len);
        forward_print_response(out, &r);
        fclose(out);
        return printed;
}

#define HOST "Host: x\r\n"

static void test_targets(void **state)
{
        static const char *const forms[][2] = {
                {"GET http://a.example/p?q HTTP/1.1\r\n" HOST "\r\n", "GET /p?q HTTP/1.1\r\n"},
                {"GET http://a.example HTTP/1.1\r\n" HOST "\r\n", "GET / HTTP/1.1\r\n"},
                {"GET http://a.example?q HTTP/1.1\r\n" HOST "\r\n", "GET /?q HTTP/1.1\r\n"},
                {"GET HTTP://A.example:8080/ HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\n"},
                {"OPTIONS http://a.example HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * HTTP/1.1\r\n"},
                {"OPTIONS http://a.example/ HTTP/1.1\r\n" HOST "\r\n", "OPTIONS / HTTP/1.1\r\n"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
                assert_memory_equal(request(forms[i][0], false, NULL), forms[i][1],
                                    strlen(forms[i][1]));
        assert_string_equal(
                request("GET http://a.example:81/p HTTP/1.1\r\n" HOST "\r\n", true, NULL),
                "GET http://a.example:81/p HTTP/1.1\r\nHost: a.example:81\r\n\r\n");
}

static void test_what_ends_at_this_hop(void **state)
{
        const char *got = request("GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n"
                                  "Connection: keep-alive, X-Hop, Content-Type, Authorization\r\n"
                                  "Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nX-Hop: 1\r\n"
                                  "Proxy-Authorization: Basic eDp5\r\nTE: gzip\r\nUpgrade: h2c\r\n"
                                  "HTTP2-Settings: AAMAAABk\r\nContent-Type: a/b\r\n"
                                  "Authorization: Bearer z\r\nTrailer: X-Sum\r\nX-End: 2\r\n\r\n",
                                  false, NULL);

        (void)state;
        assert_string_equal(got, "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Type: a/b\r\n"
                                 "Authorization: Bearer z\r\nTrailer: X-Sum\r\nX-End: 2\r\n\r\n");
}

static void test_what_is_printed_anew(void **state)
{
        (void)state;
        assert_string_equal(
                request("POST http://a/ HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n"
                        "Via: 1.0 before\r\nTE: trailers, deflate\r\nExpect: "
                        "100-continue\r\nConnection: TE\r\n\r\n",
                        false, "me"),
                "POST / HTTP/1.1\r\nHost: a\r\nVia: 1.0 before\r\nExpect: 100-continue\r\n"
                "Transfer-Encoding: chunked\r\nVia: 1.1 me\r\nConnection: TE\r\n"
                "TE: trailers\r\n\r\n");
        assert_string_equal(
                request("POST http://a/ HTTP/1.0\r\nContent-Length: 0\r\nContent-Length: 0"
                        "\r\nExpect: 100-continue\r\n\r\n",
                        false, "me"),
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nVia: 1.0 me\r\n\r\n");
        assert_string_equal(request("GET http://a/ HTTP/1.1\r\n" HOST "Connection: Upgrade\r\n"
                                    "Upgrade: websocket\r\n\r\n",
                                    false, NULL),
                            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket"
                            "\r\n\r\n");
        assert_string_equal(
                request("TRACE http://a/ HTTP/1.1\r\n" HOST "Max-Forwards: 7\r\n\r\n", false, NULL),
                "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 6\r\n\r\n");
        assert_string_equal(
                request("GET http://a/ HTTP/1.1\r\n" HOST "Max-Forwards: 0\r\n\r\n", false, NULL),
                "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
}

static void test_responses(void **state)
{
        (void)state;
        assert_string_equal(
                response("HTTP/1.0 200 Fine\r\nDate: x\r\nContent-Length: 3\r\nKeep-Alive: 1\r\n"
                         "Connection: X-Hop, close\r\nX-Hop: 1\r\nA: b\r\n\r\n",
                         false),
                "HTTP/1.1 200 Fine\r\nDate: x\r\nA: b\r\nContent-Length: 3\r\nVia: 1.0 me\r\n"
                "\r\n");
        assert_string_equal(
                response("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 3\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n",
                         true),
                "HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\nVia: 1.1 me\r\n"
                "Connection: close\r\n\r\n");
        assert_string_equal(
                response("HTTP/1.1 304 Not Modified\r\nDate: x\r\nContent-Length: 3\r\n\r\n",
                         false),
                "HTTP/1.1 304 Not Modified\r\nDate: x\r\nContent-Length: 3\r\nVia: 1.1 me\r\n\r\n");
        assert_string_equal(response("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", false),
                            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nVia: 1.1 me\r\n\r\n");
        assert_string_equal(
                response("HTTP/1.1 426 Upgrade\r\nDate: x\r\nUpgrade: tls/1.2\r\nConnection: "
                         "upgrade\r\n"
                         "Content-Length: 0\r\n\r\n",
                         false),
                "HTTP/1.1 426 Upgrade\r\nDate: x\r\nContent-Length: 0\r\nVia: 1.1 me\r\n"
                "Upgrade: tls/1.2\r\nConnection: Upgrade\r\n\r\n");
        assert_non_null(strstr(response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
                               "\r\nDate: "));
}

/* A fuzzer found it: the length was left out beside a coding that is none, and the client waited
 * for the end. */
static void test_a_coding_that_is_none(void **state)
{
        (void)state;
        assert_non_null(strstr(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n"
                                        "Content-Length: 3\r\n\r\n",
                                        false),
                               "\r\nContent-Length: 3\r\n"));
}

static void test_loops(void **state)
{
        static const char *const passed[] = {"1.1 me", "1.1 a, 1.0 ME", "HTTP/1.1 me (x)",
                                             "1.1 a,1.1  me"};
        static const char *const others[] = {"1.1 mee", "1.1 a (me)", "me", "1.1 x me", ""};
        char request_text[200];

        (void)state;
        for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
                sprintf(request_text, "GET / HTTP/1.1\r\nVia: 1.1 z\r\nVia: %s\r\n\r\n", passed[i]);
                parse_request(request_text);
                assert_true(forward_has_passed(&head, "me"));
                assert_false(forward_has_passed(&head, NULL));
        }
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                sprintf(request_text, "GET / HTTP/1.1\r\nVia: %s\r\n\r\n", others[i]);
                parse_request(request_text);
                assert_false(forward_has_passed(&head, "me"));
        }
}

static void test_hosts(void **state)
{
        static const char *const good[] = {"1.1\r\nHost: a\r\n", "1.1\r\nHost: [::1]:8\r\n",
                                           "1.1\r\nHost:\r\n", "1.0\r\n"};
        static const char *const bad[] = {"1.1\r\n", "1.1\r\nHost: a\r\nHost: a\r\n",
                                          "1.0\r\nHost: a b\r\n", "1.1\r\nHost: a/b\r\n",
                                          "1.1\r\nHost: u@a\r\n"};
        char request_text[200];

        (void)state;
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
                sprintf(request_text, "GET / HTTP/%s\r\n", good[i]);
                parse_request(request_text);
                assert_null(forward_host_problem(&head));
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                sprintf(request_text, "GET / HTTP/%s\r\n", bad[i]);
                parse_request(request_text);
                assert_non_null(forward_host_problem(&head));
        }
}

static bool client_persists(const char *request_text)
{
        parse_request(request_text);
        return forward_client_persists(&head);
}

static void test_persistence(void **state)
{
        (void)state;
        assert_true(client_persists("GET / HTTP/1.1\r\n\r\n"));
        assert_false(
                client_persists("GET / HTTP/1.1\r\nConnection: x\r\nConnection: Close\r\n\r\n"));
        assert_false(client_persists("GET / HTTP/1.1\r\nProxy-Connection: close\r\n\r\n"));
        assert_false(client_persists("GET / HTTP/1.0\r\n\r\n"));
        assert_false(client_persists("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        response("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false);
        assert_false(forward_server_persists(&head));
        response("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", false);
        assert_true(forward_server_persists(&head));
}

static void test_max_forwards(void **state)
{
        (void)state;
        parse_request("TRACE / HTTP/1.1\r\nMax-Forwards: 0\r\n\r\n");
        assert_int_equal(forward_max_forwards(&head), 0);
        parse_request("OPTIONS / HTTP/1.1\r\nMax-Forwards: x\r\n\r\n");
        assert_int_equal(forward_max_forwards(&head), -1);
        parse_request("GET / HTTP/1.1\r\nMax-Forwards: 0\r\n\r\n");
        assert_int_equal(forward_max_forwards(&head), -1);
}

static int free_printed(void **state)
{
        (void)state;
        free(printed);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_targets),
                cmocka_unit_test(test_what_ends_at_this_hop),
                cmocka_unit_test(test_what_is_printed_anew),
                cmocka_unit_test(test_responses),
                cmocka_unit_test(test_a_coding_that_is_none),
                cmocka_unit_test(test_loops),
                cmocka_unit_test(test_hosts),
                cmocka_unit_test(test_persistence),
                cmocka_unit_test(test_max_forwards),
        };

        return cmocka_run_group_tests(tests, NULL, free_printed);
}
