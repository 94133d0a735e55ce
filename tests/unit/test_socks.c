/* SOCKS messages: whole, cut short after every byte (never a byte beyond the end: each sample ends
 * at a guard page), with bytes behind them, and malformed. */
#include "net/socks.h"

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
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        (void)state;
        guarded_end = at + page;
        return at == MAP_FAILED || mprotect(guarded_end, page, PROT_NONE) != 0;
}

static const char *guarded(const char *data, size_t len)
{
        return len > 0 ? memcpy(guarded_end - len, data, len) : guarded_end;
}

typedef enum socks_result (*parser)(const char *data, size_t len, struct socks_request *out);

static struct socks_request request;

/* Every shorter prefix asks for more; the whole parses, and so it does with more behind it. */
static void expect_request(parser parse, const char *data, size_t len, const char *host,
                           unsigned port)
{
        char longer[600];

        for (size_t i = 0; i < len; i++)
                assert_int_equal(parse(guarded(data, i), i, &request), SOCKS_MORE);
        assert_int_equal(parse(guarded(data, len), len, &request), SOCKS_OK);
        assert_string_equal(request.host, host);
        assert_int_equal(request.port, port);
        assert_int_equal(request.len, len);
        memcpy(longer, data, len);
        memset(longer + len, 0x16, 20);
        memset(&request, 0, sizeof request);
        assert_int_equal(parse(guarded(longer, len + 20), len + 20, &request), SOCKS_OK);
        assert_int_equal(request.len, len);
        assert_string_equal(request.host, host);
}

#define REQUEST(parse, text, host, port) expect_request(parse, text, sizeof text - 1, host, port)
#define REFUSED(parse, text, result)                                                               \
        assert_int_equal(parse(guarded(text, sizeof text - 1), sizeof text - 1, &request), result)

static void test_socks4(void **state)
{
        (void)state;
        REQUEST(socks4_request, "\4\1\1\273\177\0\0\1\0", "127.0.0.1", 443);
        REQUEST(socks4_request, "\4\1\0\26\300\0\2\5me\0", "192.0.2.5", 22);
        assert_int_equal(request.command, SOCKS_CONNECT);
        REQUEST(socks4_request, "\4\2\0\26\300\0\2\5me\0", "192.0.2.5", 22);
        assert_int_equal(request.command, SOCKS_BIND);
        REQUEST(socks4_request, "\4\1\1\273\0\0\0\0\0", "0.0.0.0", 443);
}

static void test_socks4a(void **state)
{
        (void)state;
        REQUEST(socks4_request, "\4\1\1\273\0\0\0\1\0Index.Example\0", "index.example", 443);
        REQUEST(socks4_request, "\4\1\1\273\0\0\0\377me\0a\0", "a", 443);
        REQUEST(socks4_request, "\4\1\1\273\0\0\0\1\0::1\0", "::1", 443);
        REFUSED(socks4_request, "\4\1\1\273\0\0\0\1\0\0", SOCKS_BAD);
        REFUSED(socks4_request, "\4\1\1\273\0\0\0\1\0a b\0", SOCKS_BAD);
        REFUSED(socks4_request, "\4\1\1\273\0\0\0\1\0a\r\nb\0", SOCKS_BAD);
        REFUSED(socks4_request, "\4\1\0\0\0\0\0\1\0a\0", SOCKS_BAD);
}

static void test_socks4_fields_have_an_end(void **state)
{
        char data[600] = "\4\1\1\273\177\0\0\1";

        (void)state;
        memset(data + 8, 'x', sizeof data - 8);
        assert_int_equal(socks4_request(guarded(data, 8 + 255), 8 + 255, &request), SOCKS_MORE);
        assert_int_equal(socks4_request(guarded(data, 8 + 256), 8 + 256, &request), SOCKS_BAD);
        data[8 + 255] = '\0';
        assert_int_equal(socks4_request(guarded(data, 8 + 256), 8 + 256, &request), SOCKS_OK);
        memcpy(data + 4, "\0\0\0\1\0", 5);
        memset(data + 9, 'x', sizeof data - 9);
        assert_int_equal(socks4_request(guarded(data, 9 + 255), 9 + 255, &request), SOCKS_MORE);
        assert_int_equal(socks4_request(guarded(data, 9 + 256), 9 + 256, &request), SOCKS_BAD);
        data[9 + 255] = '\0';
        assert_int_equal(socks4_request(guarded(data, 9 + 256), 9 + 256, &request), SOCKS_OK);
        assert_int_equal(strlen(request.host), 255);
}

static void test_greetings(void **state)
{
        struct socks_greeting g;
        char all[257] = "\5\377";

        (void)state;
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(socks5_greeting(guarded("\5\2\0\2", i), i, &g), SOCKS_MORE);
        assert_int_equal(socks5_greeting(guarded("\5\2\0\2", 4), 4, &g), SOCKS_OK);
        assert_true(g.open && g.password);
        assert_int_equal(g.len, 4);
        assert_int_equal(socks5_greeting(guarded("\5\1\2\0\0", 5), 5, &g), SOCKS_OK);
        assert_true(!g.open && g.password);
        assert_int_equal(g.len, 3);
        assert_int_equal(socks5_greeting(guarded("\5\1\1", 3), 3, &g), SOCKS_OK);
        assert_true(!g.open && !g.password);
        assert_int_equal(socks5_greeting(guarded("\5\0", 2), 2, &g), SOCKS_BAD);
        for (int i = 0; i < 255; i++)
                all[2 + i] = (char)(i + 1);
        assert_int_equal(socks5_greeting(guarded(all, 257), 257, &g), SOCKS_OK);
        assert_true(!g.open && g.password);
}

static void test_logins(void **state)
{
        static const char text[] = "\1\4user\3p:w";
        struct socks_login l;
        char longest[513];

        (void)state;
        for (size_t i = 0; i < sizeof text - 1; i++)
                assert_int_equal(socks5_login(guarded(text, i), i, &l), SOCKS_MORE);
        assert_int_equal(socks5_login(guarded(text, sizeof text - 1), sizeof text - 1, &l),
                         SOCKS_OK);
        assert_int_equal(l.user_len, 4);
        assert_memory_equal(l.user, "user", 4);
        assert_int_equal(l.password_len, 3);
        assert_memory_equal(l.password, "p:w", 3);
        assert_int_equal(l.len, sizeof text - 1);
        assert_int_equal(socks5_login(guarded("\1\0\0", 3), 3, &l), SOCKS_OK);
        assert_int_equal(l.user_len + l.password_len, 0);
        assert_int_equal(socks5_login(guarded("\5", 1), 1, &l), SOCKS_BAD);
        memset(longest, 0xff, sizeof longest);
        longest[0] = 1;
        assert_int_equal(socks5_login(guarded(longest, 513), 513, &l), SOCKS_OK);
        assert_int_equal(l.user_len + l.password_len, 510);
}

static void test_socks5(void **state)
{
        (void)state;
        REQUEST(socks5_request, "\5\1\0\1\300\0\2\5\0\26", "192.0.2.5", 22);
        REQUEST(socks5_request, "\5\1\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\37\220",
                "2001:db8::1", 8080);
        REQUEST(socks5_request, "\5\1\0\3\15Index.Example\1\273", "index.example", 443);
        REQUEST(socks5_request,
                "\5\1\0\3\11"
                "127.0.0.1\1\273",
                "127.0.0.1", 443);
        REQUEST(socks5_request, "\5\3\0\1\0\0\0\0\0\0", "0.0.0.0", 0);
        assert_int_equal(request.command, SOCKS_UDP);
}

static void test_socks5_refused(void **state)
{
        char longest[4 + 1 + 255 + 2] = "\5\1\0\3\377";

        (void)state;
        REFUSED(socks5_request, "\4", SOCKS_BAD);
        REFUSED(socks5_request, "\5\1\0\2\1", SOCKS_ADDRESS);
        REFUSED(socks5_request, "\5\1\0\3\0\1\273", SOCKS_BAD);
        REFUSED(socks5_request, "\5\1\0\3\3a\0b\1\273", SOCKS_BAD);
        REFUSED(socks5_request, "\5\1\0\3\3a@b\1\273", SOCKS_BAD);
        REFUSED(socks5_request, "\5\1\0\3\1a\0\0", SOCKS_BAD);
        memset(longest + 5, 'n', 257);
        assert_int_equal(socks5_request(guarded(longest, sizeof longest), sizeof longest, &request),
                         SOCKS_OK);
        assert_int_equal(strlen(request.host), 255);
}

static void test_replies(void **state)
{
        char out[SOCKS_REPLY_MAX];

        (void)state;
        assert_int_equal(socks_print_reply(4, SOCKS_SUCCEEDED, out), 8);
        assert_memory_equal(out, "\0\132\0\0\0\0\0\0", 8);
        assert_int_equal(socks_print_reply(4, SOCKS_REFUSED, out), 8);
        assert_memory_equal(out, "\0\133\0\0\0\0\0\0", 8);
        assert_int_equal(socks_print_reply(5, SOCKS_NO_COMMAND, out), 10);
        assert_memory_equal(out, "\5\7\0\1\0\0\0\0\0\0", 10);
}

static void test_reply_of_errno(void **state)
{
        (void)state;
        assert_int_equal(socks_reply_of(0), SOCKS_SUCCEEDED);
        assert_int_equal(socks_reply_of(ECONNREFUSED), SOCKS_REFUSED);
        assert_int_equal(socks_reply_of(ENETUNREACH), SOCKS_NET_UNREACHABLE);
        assert_int_equal(socks_reply_of(EHOSTUNREACH), SOCKS_HOST_UNREACHABLE);
        assert_int_equal(socks_reply_of(ETIMEDOUT), SOCKS_TTL_EXPIRED);
        assert_int_equal(socks_reply_of(EACCES), SOCKS_NOT_ALLOWED);
        assert_int_equal(socks_reply_of(ECONNRESET), SOCKS_FAILURE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_socks4),
                cmocka_unit_test(test_socks4a),
                cmocka_unit_test(test_socks4_fields_have_an_end),
                cmocka_unit_test(test_greetings),
                cmocka_unit_test(test_logins),
                cmocka_unit_test(test_socks5),
                cmocka_unit_test(test_socks5_refused),
                cmocka_unit_test(test_replies),
                cmocka_unit_test(test_reply_of_errno),
        };

        return cmocka_run_group_tests(tests, make_guard, NULL);
}
