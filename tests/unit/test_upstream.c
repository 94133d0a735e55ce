/* URLs of upstream proxies, chains, choices and their health. */
#include "net/upstream.h"
#include "net/upstream_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct upstream *parse(const char *text)
{
        struct upstream *up;
        const char *why;

        assert_int_equal(upstream_parse(text, &up, &why), 0);
        return up;
}

static void test_urls(void **state)
{
        static const struct {
                const char *text;
                enum hop_scheme scheme;
                const char *host;
                uint16_t port;
                const char *credentials, *shown;
        } rows[] = {
                {"http://u%40x:p%3Aw@proxy.example:3128/", HOP_HTTP, "proxy.example", 3128,
                 "u@x:p:w", "http://***@proxy.example:3128"},
                {"[::1]:8080", HOP_HTTP, "::1", 8080, NULL, "http://[::1]:8080"},
                {"p.example", HOP_HTTP, "p.example", 1080, NULL, "http://p.example:1080"},
                {"HTTPS://p.example", HOP_HTTPS, "p.example", 443, NULL, "https://p.example:443"},
                {"socks5://u:p@p.example", HOP_SOCKS5, "p.example", 1080, "u:p",
                 "socks5://***@p.example:1080"},
                {"socks5h://p.example:9", HOP_SOCKS5H, "p.example", 9, NULL,
                 "socks5h://p.example:9"},
                {"socks4a://user@p.example:9", HOP_SOCKS4A, "p.example", 9, "user",
                 "socks4a://***@p.example:9"},
                {"socks://p.example:9", HOP_SOCKS4, "p.example", 9, NULL, "socks4://p.example:9"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct upstream *up = parse(rows[i].text);

                assert_int_equal(up->hops->scheme, rows[i].scheme);
                assert_string_equal(up->hops->host, rows[i].host);
                assert_int_equal(up->hops->port, rows[i].port);
                assert_string_equal(up->shown, rows[i].shown);
                assert_true((up->hops->credentials == NULL) == (rows[i].credentials == NULL));
                if (rows[i].credentials != NULL)
                        assert_string_equal(up->hops->credentials, rows[i].credentials);
                upstream_free(up);
        }
        assert_null(parse("direct"));
}

static void test_bad_urls(void **state)
{
        static const char *const bad[] = {"",
                                          "http://",
                                          "http://:80",
                                          "http://a:0",
                                          "http://a:70000",
                                          "http://a:x",
                                          "http://a/path",
                                          "http://a%0d%0a:b@c:1/x",
                                          "http://a%0d%0aX-Injected:b@c:1",
                                          "ftp://a:1",
                                          "socks6://a:1",
                                          "http://[::1",
                                          "http://a:1,",
                                          "http://a:1,direct",
                                          "http://a:1|",
                                          "|http://a:1",
                                          "a,a,a,a,a,a,a,a,a",
                                          "not a url"};
        struct upstream *up;
        const char *why;

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                if (upstream_parse(bad[i], &up, &why) == 0)
                        fail_msg("taken: %s", bad[i]);
                assert_non_null(why);
                assert_null(up);
        }
}

static void test_chains_and_choices(void **state)
{
        struct upstream *list = parse("http://a:1,socks5h://u:p@b:2|https://c|direct");

        (void)state;
        assert_string_equal(list->shown, "http://a:1,socks5h://***@b:2");
        assert_string_equal(list->hops->next->host, "b");
        assert_ptr_equal(upstream_last(list), list->hops->next);
        assert_null(upstream_http(list));
        assert_true(upstream_resolves(list));
        assert_string_equal(list->next->shown, "https://c:443");
        assert_ptr_equal(upstream_http(list->next), list->next->hops);
        assert_true(upstream_is_direct(list->next->next));
        assert_string_equal(list->next->next->shown, "direct");
        assert_true(upstream_has(list, "B", 2));
        assert_false(upstream_has(list, "b", 1));
        assert_true(upstream_needs_tls(list));
        upstream_free(list);
}

static void test_health(void **state)
{
        struct upstream *list = parse("http://a:1|http://b:1|http://c:1"), *alone;
        const struct upstream *a = list, *b = list->next, *c = b->next;

        (void)state;
        assert_ptr_equal(upstream_pick(list, 0, 1000), a);
        assert_int_equal(upstream_down(a, 1000), 1000);
        assert_true(upstream_is_down(a, 1999));
        assert_ptr_equal(upstream_pick(list, 0, 1500), b);
        assert_ptr_equal(upstream_pick(list, 0, 2000), a); /* tried again later */
        assert_int_equal(upstream_down(a, 2000), 2000);    /* and left out for longer */
        for (int64_t now = 10000; now < 1000000000; now += 500000)
                assert_true(upstream_down(a, now) <= 300000);
        assert_int_equal(upstream_down(a, 2000000000), 300000);
        assert_true(upstream_up(a));
        assert_false(upstream_up(a));
        assert_int_equal(upstream_down(a, 5000), 1000);
        upstream_down(b, 5500);
        upstream_down(c, 5200);
        /* All are down: the nearest in time, and never one twice. */
        assert_ptr_equal(upstream_pick(list, 0, 5600), a);
        assert_ptr_equal(upstream_pick(list, 1, 5600), c);
        assert_ptr_equal(upstream_pick(list, 5, 5600), b);
        assert_null(upstream_pick(list, 7, 5600));
        upstream_free(list);
        alone = parse("http://a:1");
        assert_int_equal(upstream_down(alone, 0), 0);
        assert_false(upstream_is_down(alone, 0));
        upstream_free(alone);
}

static void test_hiding(void **state)
{
        static const char *const rows[][2] = {
                {"http://u:secret@h:1", "http://u:***@h:1"},
                {"http://u:s@h:1,socks5://x:verysecret@i:2|http://j:3",
                 "http://u:*@h:1,socks5://x:***@i:2|http://j:3"},
                {".example=http://u:secret@h", ".example=http://u:***@h"},
                {"u:secret@h:1", "u:***@h:1"},
        };
        char plain[] = "http://h:1|direct", none[] = "http://user@h:1";

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char text[100] = "";

                strcpy(text, rows[i][0]);
                assert_true(upstream_url_hide(text));
                assert_string_equal(text, rows[i][1]);
                for (size_t k = strlen(rows[i][1]); k < strlen(rows[i][0]); k++)
                        assert_int_equal(text[k], 0);
        }
        assert_false(upstream_url_hide(plain));
        assert_false(upstream_url_hide(none));
        assert_string_equal(plain, "http://h:1|direct");
}

static void test_basic(void **state)
{
        char *value = upstream_basic("Aladdin:open sesame"); /* RFC 7617 section 2 */

        (void)state;
        assert_string_equal(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        wipe_free(value);
        value = upstream_basic("me");
        assert_string_equal(value, "Basic bWU6");
        wipe_free(value);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_urls),
                cmocka_unit_test(test_bad_urls),
                cmocka_unit_test(test_chains_and_choices),
                cmocka_unit_test(test_health),
                cmocka_unit_test(test_hiding),
                cmocka_unit_test(test_basic),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
