/* Host lists, with curl's reading of no_proxy, and the rules that choose by them. */
#include "net/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

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

static void test_blocks_with_a_port(void **state)
{
        struct host_list *list = parse("10.0.0.0/8:443,[2001:db8::/32]:80");

        (void)state;
        assert_true(host_list_match(list, NULL, "10.1.2.3", 443));
        assert_false(host_list_match(list, NULL, "10.1.2.3", 80));
        assert_true(host_list_match(list, NULL, "2001:db8::1", 80));
        assert_false(host_list_match(list, NULL, "2001:db8::1", 443));
        host_list_free(list);
}

static void test_star_and_bad_items(void **state)
{
        static const char *const bads[] = {"10.0.0.0/33", "a/b",           ".",    "a:0", "[::1",
                                           "1.2.3.4/",    "10.0.0.0/33:1", "a/b:1"};
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

static struct route *rule(const char *text)
{
        struct route *r;
        char why[200];

        assert_int_equal(route_parse(text, &r, why, sizeof why), 0);
        return r;
}

static void test_rules(void **state)
{
        struct route *first = rule(".corp.example:443=direct");
        struct host_list *no_proxy = parse("b.example");
        struct routing r = {.rules = first, .no_proxy = no_proxy};
        struct upstream *up;
        const char *why;

        (void)state;
        assert_int_equal(upstream_parse("http://p.example:1", &up, &why), 0);
        r.https = up;
        first->next = rule("10.0.0.0/8,corp.example,b.example=socks5://s.example:2");
        assert_null(routing_list(&r, false, "a.corp.example", NULL, 443));
        assert_string_equal(routing_list(&r, false, "a.corp.example", NULL, 80)->shown,
                            "socks5://s.example:2");
        assert_ptr_equal(routing_list(&r, false, NULL, "10.1.2.3", 80), first->next->via);
        /* Rules come before no_proxy. */
        assert_ptr_equal(routing_list(&r, false, "b.example", NULL, 443), first->next->via);
        assert_ptr_equal(routing_list(&r, false, "c.example", NULL, 443), up);
        assert_null(routing_list(&r, true, "c.example", NULL, 80));
        assert_true(routing_is_proxy(&r, "S.example", 2));
        assert_true(routing_is_proxy(&r, "p.example", 1));
        assert_false(routing_is_proxy(&r, "p.example", 2));
        assert_true(routing_may_proxy(&r, "c.example"));
        upstream_free(up);
        host_list_free(no_proxy);
        route_free(first);
}

static void test_bad_rules(void **state)
{
        static const char *const bad[] = {"",           "a.example",        "=direct",
                                          " =direct",   "a/b=direct",       "a.example=ftp://x:1",
                                          "a.example=", "a.example=http://"};
        struct route *r;
        char why[200];

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                *why = '\0';
                assert_true(route_parse(bad[i], &r, why, sizeof why) < 0);
                assert_true(*why != '\0');
                assert_null(r);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_bad_rules),
                cmocka_unit_test(test_names_and_suffixes),
                cmocka_unit_test(test_addresses_and_blocks),
                cmocka_unit_test(test_blocks_with_a_port),
                cmocka_unit_test(test_star_and_bad_items),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
