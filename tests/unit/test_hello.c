/* hello.c's parsers of single extensions: good ones, cut ones, and noise. Each input is a copy of
 * exactly its own length, so that the sanitizer sees a read beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "inspect/hello.h"

typedef int parser(struct hello *out, const unsigned char *data, size_t len);

static int parse(parser *p, struct hello *out, const void *data, size_t len)
{
        unsigned char *copy = malloc(len ? len : 1);

        memcpy(copy, data, len);
        memset(out, 0, sizeof *out);
        int result = p(out, copy, len);
        free(copy);
        return result;
}

static void test_sni(void **state)
{
        static const char good[] = "\x00\x10\x00\x00\x0dINDEX.Example";
        struct hello hello;

        (void)state;
        assert_int_equal(parse(hello_read_sni, &hello, good, sizeof good - 1), 0);
        assert_string_equal(hello.sni, "index.example");
        for (size_t len = 0; len < sizeof good - 1; len++)
                assert_true(parse(hello_read_sni, &hello, good, len) < 0);
        assert_int_equal(parse(hello_read_sni, &hello,
                               "\x00\x05\x00\x00\x02"
                               "a.",
                               7),
                         0);
        assert_string_equal(hello.sni, "a");
        /* A name that would be two in C, and none at all. */
        assert_true(parse(hello_read_sni, &hello,
                          "\x00\x06\x00\x00\x03"
                          "a\0b",
                          8) < 0);
        assert_true(parse(hello_read_sni, &hello, "\x00\x03\x00\x00\x00", 5) < 0);
}

static void test_alpn(void **state)
{
        static const char list[] = "\x00\x1a\x02h2\x04"
                                   "acme"
                                   "\x08http/1.1\x08http/1.0";
        struct hello hello;

        (void)state;
        assert_int_equal(parse(hello_read_alpn, &hello, list, sizeof list - 1), 0);
        assert_int_equal(hello.alpn_len, 21);
        assert_memory_equal(hello.alpn, "\x02h2\x08http/1.1\x08http/1.0", 21);
        for (size_t len = 0; len < sizeof list - 1; len++)
                assert_true(parse(hello_read_alpn, &hello, list, len) < 0);
        assert_int_equal(parse(hello_read_alpn, &hello,
                               "\x00\x05\x04"
                               "acme",
                               7),
                         0);
        assert_int_equal(hello.alpn_len, 0);
        assert_true(hello.has_alpn);
}

static void test_versions(void **state)
{
        struct hello hello;

        (void)state;
        /* GREASE (RFC 8701), 1.3, 1.2, 1.1 */
        assert_int_equal(
                parse(hello_read_versions, &hello, "\x08\x4a\x4a\x03\x04\x03\x03\x03\x02", 9), 0);
        assert_int_equal(hello.max_version, TLS1_3_VERSION);
        assert_int_equal(hello.min_version, TLS1_2_VERSION);
        assert_int_equal(parse(hello_read_versions, &hello, "\x02\x03\x02", 3), 0);
        assert_int_equal(hello.max_version, 0);
        assert_true(parse(hello_read_versions, &hello, "\x04\x03\x04", 3) < 0);
}

static void test_noise(void **state)
{
        static parser *const parsers[] = {hello_read_sni, hello_read_alpn, hello_read_versions};
        unsigned char data[600];
        struct hello hello;

        (void)state;
        for (int round = 0; round < 200000; round++) {
                size_t len = (size_t)rand() % (round % 8 ? 24 : sizeof data);
                for (size_t i = 0; i < len; i++)
                        data[i] = (unsigned char)(rand() & 1 ? rand() & 7 : rand());
                parse(parsers[round % 3], &hello, data, len);
                assert_true(hello.alpn_len <= sizeof hello.alpn);
                assert_true(memchr(hello.sni, '\0', sizeof hello.sni) != NULL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sni),
                cmocka_unit_test(test_alpn),
                cmocka_unit_test(test_versions),
                cmocka_unit_test(test_noise),
        };

        srand(1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
