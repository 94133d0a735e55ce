/* What is said to SOCKS proxies, and their replies whole, byte by byte and cut; and netrc files. */
#include "net/socks_out.h"
#include "cli/netrc.h"
#include "net/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define BYTES(...)                                                                                 \
        ((const unsigned char[]){__VA_ARGS__}), sizeof((const unsigned char[]){__VA_ARGS__})

static void test_messages(void **state)
{
        unsigned char out[SOCKS_OUT_MAX];
        struct wire_addr v4, v6;
        char long_name[257];

        (void)state;
        memset(long_name, 'x', sizeof long_name - 1);
        long_name[256] = '\0';
        assert_true(address_from_literal("192.0.2.1", 443, &v4));
        assert_true(address_from_literal("2001:db8::1", 443, &v6));
        assert_int_equal(socks_out_greeting(out, false), 3);
        assert_memory_equal(out, "\x05\x01\x00", 3);
        assert_int_equal(socks_out_greeting(out, true), 4);
        assert_memory_equal(out, "\x05\x02\x00\x02", 4);
        assert_int_equal(socks_out_login(out, "me", "pass"), 9);
        assert_memory_equal(out, "\x01\x02me\x04pass", 9);
        assert_int_equal(socks_out_login(out, "", "p"), 0);
        assert_int_equal(socks_out_login(out, "u", ""), 0);
        assert_int_equal(socks_out_login(out, long_name, "p"), 0);
        assert_int_equal(socks_out_request5(out, "a.example", NULL, 443), 16);
        assert_memory_equal(out,
                            "\x05\x01\x00\x03\x09"
                            "a.example\x01\xbb",
                            16);
        assert_int_equal(socks_out_request5(out, NULL, &v4, 443), 10);
        assert_memory_equal(out, "\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb", 10);
        assert_int_equal(socks_out_request5(out, NULL, &v6, 443), 22);
        assert_memory_equal(out, "\x05\x01\x00\x04\x20\x01\x0d\xb8", 8);
        assert_int_equal(socks_out_request5(out, long_name, NULL, 443), 0);
        assert_int_equal(socks_out_request4(out, NULL, &v4, 443, "me"), 11);
        assert_memory_equal(out, "\x04\x01\x01\xbb\xc0\x00\x02\x01me\x00", 11);
        assert_int_equal(socks_out_request4(out, "a.example", NULL, 80, ""), 19);
        assert_memory_equal(out,
                            "\x04\x01\x00\x50\x00\x00\x00\x01\x00"
                            "a.example\x00",
                            19);
        assert_int_equal(socks_out_request4(out, NULL, &v6, 443, ""), 0);
}

/* Feed prefixes of data, each in memory that ends there: more is wanted until all is there, and
 * what follows is not taken. */
static void check_reply(int (*parse)(const unsigned char *data, size_t len, int *code),
                        const unsigned char *data, size_t len, int want)
{
        for (size_t n = 0; n <= len + 1; n++) {
                unsigned char *cut = calloc(1, n != 0 ? n : 1);
                int code = -1, result;

                memcpy(cut, data, n < len ? n : len);
                result = parse(cut, n, &code);
                free(cut);
                assert_int_equal(result, n < len ? 0 : (int)len);
                if (n >= len)
                        assert_int_equal(code, want);
        }
}

static void test_replies(void **state)
{
        int code;

        (void)state;
        check_reply(socks_out_method, BYTES(5, 0), 0);
        check_reply(socks_out_method, BYTES(5, 255), 255);
        check_reply(socks_out_login_reply, BYTES(1, 0), SOCKS_OUT_OK);
        check_reply(socks_out_login_reply, BYTES(1, 7), SOCKS_OUT_LOGIN_REFUSED);
        check_reply(socks_out_reply5, BYTES(5, 0, 0, 1, 1, 2, 3, 4, 5, 6), SOCKS_OUT_OK);
        check_reply(socks_out_reply5, BYTES(5, 5, 0, 3, 2, 'a', 'b', 5, 6), 5);
        check_reply(socks_out_reply5, BYTES(5, 0, 0, 3, 0, 5, 6), 0);
        check_reply(socks_out_reply5,
                    BYTES(5, 4, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 5, 6),
                    4);
        check_reply(socks_out_reply4, BYTES(0, 90, 1, 2, 3, 4, 5, 6), SOCKS_OUT_OK);
        check_reply(socks_out_reply4, BYTES(0, 91, 1, 2, 3, 4, 5, 6), SOCKS_OUT_FAILED);
        check_reply(socks_out_reply4, BYTES(4, 93, 1, 2, 3, 4, 5, 6), SOCKS_OUT_LOGIN_REFUSED);
        assert_int_equal(socks_out_method(BYTES('H', 'T'), &code), -1);
        assert_int_equal(socks_out_reply5(BYTES(4), &code), -1);
        assert_int_equal(socks_out_reply5(BYTES(5, 0, 0, 2, 0), &code), -1);
        assert_int_equal(socks_out_reply4(BYTES('H'), &code), -1);
        assert_int_equal(socks_out_errno(5), ECONNREFUSED);
        assert_int_equal(socks_out_errno(4), EHOSTUNREACH);
        assert_int_equal(socks_out_errno(3), ENETUNREACH);
        assert_int_equal(socks_out_errno(6), ETIMEDOUT);
        assert_string_equal(socks_out_words(2), "not allowed by its rules");
        assert_string_equal(socks_out_words(77), "unknown reason");
}

/* ---- netrc ---- */

static void check_netrc(const char *text, const char *host, const char *user, const char *want)
{
        char *found = netrc_find(text, host, user);

        if (want == NULL)
                assert_null(found);
        else
                assert_string_equal(found != NULL ? found : "(nothing)", want);
        free(found);
}

static void test_netrc(void **state)
{
        static const char text[] =
                "# machine a.example login no password no\n"
                "machine a.example login me password secret\n"
                "machine a.example\n\tlogin other\n\tpassword \"two \\\"words\\\"\"\n"
                "macdef init\nmachine m.example login x password y\n\n"
                "machine b.example password alone account z login late\n"
                "machine c.example login nopassword\n"
                "default login anyone password anything";

        (void)state;
        check_netrc(text, "a.example", NULL, "me:secret");
        check_netrc(text, "A.Example", "other", "other:two \"words\"");
        check_netrc(text, "b.example", NULL, "late:alone");
        check_netrc(text, "m.example", NULL, "anyone:anything");
        check_netrc(text, "c.example", "nopassword", NULL);
        check_netrc(text, "z.example", NULL, "anyone:anything");
        check_netrc("machine a login b", "a", NULL, NULL);
        check_netrc("machine", "a", NULL, NULL);
        check_netrc("machine a login b password", "a", NULL, NULL);
        check_netrc("machine a login b password \"x", "a", NULL, "b:x");
        check_netrc("", "a", NULL, NULL);
}

static void test_netrc_of_others(void **state)
{
        char path[] = "/tmp/tapline-netrc-XXXXXX", *text;
        int fd = mkstemp(path), error;

        (void)state;
        assert_true(write(fd, "machine a login b password c", 28) == 28);
        text = netrc_read(path, &error);
        assert_string_equal(text, "machine a login b password c");
        free(text);
        for (mode_t bit = 1; bit <= 040; bit <<= 1) {
                fchmod(fd, 0600 | bit);
                assert_null(netrc_read(path, &error));
                assert_int_equal(error, -EPERM);
        }
        close(fd);
        unlink(path);
        assert_null(netrc_read(path, &error));
        assert_int_equal(error, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_replies),
                cmocka_unit_test(test_netrc),
                cmocka_unit_test(test_netrc_of_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
