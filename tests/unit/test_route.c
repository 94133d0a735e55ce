/* Upstream URLs and host lists, with curl's reading of no_proxy. */
#include "net/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_upstreams(void **state)
{
        struct upstream *up;
        const char *why;

        (void)state;
        assert_int_equal(upstream_parse("http://u%40x:p%3Aw@proxy.example:3128/", &up, &why), 0);
        assert_string_equal(up->host, "proxy.example");
        assert_int_equal(up->port, 3128);
        assert_string_equal(up->credentials, "u@x:p:w");
        assert_string_equal(up->shown, "http://***@proxy.example:3128");
        upstream_free(up);
        assert_int_equal(upstream_parse("[::1]:8080", &up, &why), 0);
        assert_string_equal(up->host, "::1");
        assert_string_equal(up->shown, "http://[::1]:8080");
        upstream_free(up);
        assert_int_equal(upstream_parse("direct", &up, &why), 0);
        assert_null(up);
}

static void test_bad_upstreams(void **state)
{
        static const char *const bad[] = {"",
                                          "http://",
                                          "http://:80",
                                          "http://a:0",
                                          "http://a:70000",
                                          "http://a:x",
                                          "http://a/path",
                                          "ftp://a:1",
                                          "https://a:1",
                                          "socks5://a:1",
                                          "http://[::1",
                                          "not a url"};
        struct upstream *up;
        const char *why;

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                assert_true(upstream_parse(bad[i], &up, &why) < 0);
                assert_non_null(why);
                assert_null(up);
        }
}

static struct host_list *parse(const char *text)
{
        char *bad;
        struct host_list *list = host_list_parse(text, &bad);

        assert_non_null(list);
        return list;
}

static void test_names_and_suffixes(void **state)
{
        struct host_list *list = parse(".corp.example, local.example:8080 localhost");

        (void)state;
        assert_true(host_list_match(list, "a.corp.example", NULL, 443));
        assert_true(host_list_match(list, "CORP.example.", NULL, 443));
        assert_false(host_list_match(list, "xcorp.example", NULL, 443));
        assert_true(host_list_match(list, "local.example", NULL, 8080));
        assert_false(host_list_match(list, "local.example", NULL, 443));
        assert_true(host_list_match(list, "localhost", "127.0.0.1", 1));
        assert_false(host_list_match(list, NULL, "127.0.0.1", 1));
        assert_false(host_list_match(NULL, "localhost", NULL, 1));
        host_list_free(list);
}

static void test_addresses_and_blocks(void **state)
{
        struct host_list *list = parse("10.0.0.0/8,192.0.2.7,2001:db8::/33 [::1]:443");

        (void)state;
        assert_true(host_list_match(list, NULL, "10.255.0.1", 1));
        assert_false(host_list_match(list, NULL, "11.0.0.1", 1));
        assert_true(host_list_match(list, "192.0.2.7", NULL, 1));
        assert_true(host_list_match(list, "name.example", "192.0.2.7", 1));
        assert_true(host_list_match(list, NULL, "2001:db8:7fff::1", 1));
        assert_false(host_list_match(list, NULL, "2001:db8:8000::1", 1));
        assert_true(host_list_match(list, NULL, "::1", 443));
        assert_false(host_list_match(list, NULL, "::1", 80));
        host_list_free(list);
}

static void test_star_and_bad_items(void **state)
{
        static const char *const bads[] = {"10.0.0.0/33", "a/b", ".", "a:0", "[::1", "1.2.3.4/"};
        struct host_list *list = parse("*");
        char *bad;

        (void)state;
        assert_true(host_list_match(list, "any.example", NULL, 1));
        host_list_free(list);
        for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
                assert_null(host_list_parse(bads[i], &bad));
                assert_string_equal(bad, bads[i]);
                free(bad);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_upstreams),
                cmocka_unit_test(test_bad_upstreams),
                cmocka_unit_test(test_names_and_suffixes),
                cmocka_unit_test(test_addresses_and_blocks),
                cmocka_unit_test(test_star_and_bad_items),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
