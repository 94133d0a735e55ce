/* Secrets must not reach a record: each case is what a client or a user has really written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "record/mask.h"

#include <stdlib.h>
#include <string.h>

struct pair {
        const char *in, *out;
};

static const struct pair urls[] = {
        {"", ""},
        {"/", "/"},
        {"/simple/foo/", "/simple/foo/"},
        {"/@scope/name", "/@scope/name"},
        {"index.example:443", "index.example:443"},
        {"[2001:db8::1]:443", "[2001:db8::1]:443"},
        {"https://index.example/simple/", "https://index.example/simple/"},
        {"https://index.example:8443/a@b", "https://index.example:8443/a@b"},
        {"https://me:pw@index.example/simple/", "https://***@index.example/simple/"},
        {"https://me:p@w@index.example/", "https://***@index.example/"},
        {"http://me:p/w@proxy.example:3128", "http://***@proxy.example:3128"},
        {"https://onlytoken@index.example", "https://***@index.example"},
        {"me:pw@proxy.example:3128", "***@proxy.example:3128"},
        {"http://[::1]:3128/x@y", "http://[::1]:3128/x@y"},
        {"git+https://me:pw@git.example/a.git#egg=a", "git+https://***@git.example/a.git#egg=a"},
        {"/f?token=abc", "/f?token=***"},
        {"/f?a=1&access_token=abc&b=2", "/f?a=1&access_token=***&b=2"},
        {"/f?X-Amz-Signature=abc#x", "/f?X-Amz-Signature=***#x"},
        {"/f?author=jane&key=abc", "/f?author=jane&key=***"},
        {"/f?q=ghp_0123456789abcdefghij", "/f?q=***"},
        {"/cb#access_token=abc", "/cb#access_token=***"},
        {"/f?token=", "/f?token="},
        {"https://a:b@x.example https://c:d@y.example",
         "https://***@x.example https://***@y.example"},
};

static const struct pair arguments[] = {
        {"install", "install"},
        {"requests==2.31", "requests==2.31"},
        {"alias@npm:name@1.0", "alias@npm:name@1.0"},
        {"--password=hunter2", "--password=***"},
        {"--token=abc", "--token=***"},
        {"NPM_TOKEN=abc", "NPM_TOKEN=***"},
        {"--//registry.example/:_authToken=abc", "--//registry.example/:_authToken=***"},
        {"--index-url=https://me:pw@index.example/simple",
         "--index-url=https://***@index.example/simple"},
        {"--proxy=me:pw@proxy.example", "--proxy=***@proxy.example"},
        {"me:pw@proxy.example:3128", "***@proxy.example:3128"},
        {"Authorization: Bearer abc", "Authorization: ***"
                                      " ***"},
        {"-HAuthorization:Bearer abc", "-HAuthorization:***"
                                       " ***"},
        {"curl -H 'Authorization: Bearer abc' -o x", "curl -H 'Authorization: ***"
                                                     " ***' -o x"},
        {"curl -u me:pw https://x.example", "curl -u *** https://x.example"},
        {"curl -ume:pw", "curl -u***"},
        {"tool --password hunter2 go", "tool --password *** go"},
        {"https://x.example/?token=abc", "https://x.example/?token=***"},
        {"ghp_0123456789abcdefghij", "***"},
};

static void check(const struct pair *p, const char *got, size_t len)
{
        if (strcmp(got, p->out) != 0)
                print_error("in: %s\n", p->in);
        assert_string_equal(got, p->out);
        assert_int_equal(len, strlen(p->out));
}

static void masks_urls(void **state)
{
        char out[256];

        (void)state;
        for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
                size_t len = mask_url(urls[i].in, strlen(urls[i].in), out, sizeof out);

                check(&urls[i], out, len);
        }
}

static void masks_arguments(void **state)
{
        char out[256];

        (void)state;
        for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
                size_t len = mask_argument(arguments[i].in, out, sizeof out);

                check(&arguments[i], out, len);
        }
}

/* "python -u script" and "pip install --user name" are no logins: the script names the tool. */
static void an_option_tells_of_the_next_argument(void **state)
{
        static const struct {
                const char *previous, *in, *out;
        } cases[] = {
                {NULL, "x", "x"},
                {"--password", "hunter2", "***"},
                {"--api-key", "x", "***"},
                {"--password", "--verbose", "--verbose"},
                {"-u", "me:pw", "***"},
                {"-u", "/usr/bin/poetry", "/usr/bin/poetry"},
                {"--user", "requests", "requests"},
                {"--token=x", "next", "next"},
        };
        char out[64];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                mask_argument_after(cases[i].previous, cases[i].in, out, sizeof out);
                assert_string_equal(out, cases[i].out);
        }
}

static void header_is(const char *name, const char *value, const char *want)
{
        char out[256];

        mask_header(name, strlen(name), value, strlen(value), out, sizeof out);
        assert_string_equal(out, want);
}

static void masks_headers(void **state)
{
        (void)state;
        header_is("Authorization", "Basic bWU6cHc=", "Basic ***");
        header_is("proxy-authorization", "Negotiate abc", "Negotiate ***");
        header_is("Authorization", "abc def", "***");
        header_is("Cookie", "a=b; c=d", "***");
        header_is("Set-Cookie", "a=b; Path=/", "***");
        header_is("X-Auth-Token", "abc", "***");
        header_is("Location", "/next?sig=abc&x=1", "/next?sig=***&x=1");
        header_is("X-Next", "https://a:b@x.example/", "https://***@x.example/");
        header_is("Content-Type", "text/html; charset=utf-8", "text/html; charset=utf-8");
        header_is("WWW-Authenticate", "Basic realm=\"x\"", "Basic realm=\"x\"");
        header_is("Proxy-Authenticate", "Basic realm=\"x\"", "Basic realm=\"x\"");
}

/* Whatever the room, the output is a prefix of the whole one and ends in NUL. */
static void cuts_to_any_room(void **state)
{
        static const char in[] = "https://me:pw@index.example/f?token=abc&x=1";
        char whole[128];

        (void)state;
        mask_url(in, strlen(in), whole, sizeof whole);
        for (size_t cap = 1; cap < sizeof whole; cap++) {
                char *out = malloc(cap);
                size_t len;

                assert_non_null(out);
                len = mask_url(in, strlen(in), out, cap);
                assert_int_equal(out[len], '\0');
                assert_memory_equal(out, whole, len);
                assert_true(len == strlen(whole) || len == cap - 1);
                free(out);
        }
        assert_int_equal(mask_url(in, strlen(in), NULL, 0), 0);
}

/* The length is what counts, not a NUL: the byte behind the input may belong to nobody. */
static void reads_no_further_than_told(void **state)
{
        static const char in[] = "http://u:p@h/?a&token=xy;#key=12\"[]:@/";
        char out[128];

        (void)state;
        for (size_t len = 0; len < sizeof in; len++) {
                char *exact = malloc(len > 0 ? len : 1);

                assert_non_null(exact);
                memcpy(exact, in, len);
                mask_url(exact, len, out, sizeof out);
                mask_header(exact, len, exact, len, out, sizeof out);
                mask_header("Location", 8, exact, len, out, sizeof out);
                free(exact);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(masks_urls),
                cmocka_unit_test(masks_arguments),
                cmocka_unit_test(an_option_tells_of_the_next_argument),
                cmocka_unit_test(masks_headers),
                cmocka_unit_test(cuts_to_any_room),
                cmocka_unit_test(reads_no_further_than_told),
        };

        return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
