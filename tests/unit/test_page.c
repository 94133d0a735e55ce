/* Pages of package indexes: what they say of files, read whole, byte by byte and compressed; what
 * is no such page says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "guarded.h"
#include "inspect/page.h"
#include "inspect/url.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define ONES                                                                                       \
        "1111111111111111111111111111111111111111111111111111111111111111" /* 32 bytes, in digits  \
                                                                            */
#define TWOS       "2222222222222222222222222222222222222222222222222222222222222222"
#define SHORT_ONES "1111111111111111111111111111111111111111" /* 20 bytes */
#define EMPTY_SHA512                                                                               \
        "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="

static const struct {
        const char *type, *page, *text;
} pages[] = {
        {"text/html; charset=utf-8", "https://i.example/simple/moss/",
         "<!DOCTYPE html><a href=\"/no-digest.whl\"><a data-x=1 HREF = "
         "'../../f/moss.whl?a=1&amp;b=2#sha256=" ONES "'>moss</a>"},
        {"application/vnd.pypi.simple.v1+json", "https://i.example/simple/moss/",
         "{\"meta\":{\"hashes\":{\"sha256\":\"" TWOS
         "\"}},\"files\":[{\"hashes\":{\"sha256\":\"" ONES
         "\"},\"size\":3,\"core-metadata\":{\"sha256\":\"" TWOS
         "\"},\"url\":\"\\/f/moss.whl?a=1&b=2\"}]}"},
        {"application/json", "https://i.example/moss",
         "{\"a\\\"b\":[[[[[[[[[[[[[[{\"url\":1}]]]]]]]]]]]]]],\"versions\":{\"1.0\":{\"dist\":{"
         "\"shasum\":\"" SHORT_ONES
         "\",\"integrity\":\"sha256-ERERERERERERERERERERERERERERERERERERERERERE=\",\"tarball\":"
         "\"https://i.example/f/moss.whl?a=1&b=2\"}}}}"},
};

static struct page *begin(struct promised *table, const char *type, const char *url,
                          const char *coding)
{
        struct http_header headers[] = {
                {"content-type", type, 12, (uint32_t)strlen(type)},
                {"Content-Encoding", coding, 16, (uint32_t)strlen(coding)},
        };
        struct http_head head = {
                .status = 200, .headers = headers, .header_count = *coding ? 2 : 1};

        return page_new(table, url, 7, &head, false);
}

static void feed(struct page *page, const char *data, size_t len, size_t step)
{
        for (size_t at = 0; at < len; at += step) {
                size_t n = len - at < step ? len - at : step;

                page_read(page, guarded(data + at, n), n);
        }
        page_free(page);
}

static void expect(struct promised *table, const char *url, const char *wanted)
{
        char text[CHECKSUM_TEXT];
        struct checksum sum;
        uint64_t request;

        assert_true(promised_find(table, url, &sum, &request));
        assert_int_equal(request, 7);
        checksum_print(&sum, text);
        assert_string_equal(text, wanted);
}

static void each_kind_of_page(void **state)
{
        static const size_t steps[] = {1, 3, 100000};

        (void)state;
        for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
                for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
                        struct promised *table = promised_new();

                        feed(begin(table, pages[i].type, pages[i].page, ""), pages[i].text,
                             strlen(pages[i].text), steps[k]);
                        expect(table, "https://i.example/f/moss.whl?a=1&b=2", "sha256:" ONES);
                        promised_free(table);
                }
}

static void compressed(void **state)
{
        struct promised *table = promised_new();
        unsigned char packed[4096];
        z_stream z = {0};

        (void)state;
        assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
                         Z_OK);
        z.next_in = (unsigned char *)pages[0].text;
        z.avail_in = (unsigned)strlen(pages[0].text);
        z.next_out = packed;
        z.avail_out = sizeof packed;
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        feed(begin(table, pages[0].type, pages[0].page, "gzip"), (char *)packed, z.total_out, 1);
        expect(table, "https://i.example/f/moss.whl?a=1&b=2", "sha256:" ONES);
        deflateEnd(&z);
        assert_null(begin(table, pages[0].type, pages[0].page, "br"));
        /* Not what it says that it is: nothing is found, and nothing breaks. */
        feed(begin(table, pages[0].type, pages[0].page, "gzip"), pages[0].text,
             strlen(pages[0].text), 5);
        promised_free(table);
}

static void other_bodies_are_no_pages(void **state)
{
        struct promised *table = promised_new();

        (void)state;
        assert_null(begin(table, "application/octet-stream", "https://i.example/x", ""));
        assert_null(begin(table, "text/plain", "https://i.example/x", ""));
        promised_free(table);
}

static void crates(void **state)
{
        static const char *const lines = "{\"name\":\"moss\",\"vers\":\"1.0.0\",\"cksum\":\"" ONES
                                         "\"}\n{\"name\":\"moss\",\"vers\":\"1.1.0\",\"deps\":"
                                         "[{\"name\":\"x\"}],\"cksum\":\"" TWOS "\"}\n";
        static const char *const templates[][2] = {
                {"https://dl.example/c", "https://dl.example/c/moss/1.1.0/download"},
                {"https://dl.example/{prefix}/{crate}-{version}.crate",
                 "https://dl.example/mo/ss/moss-1.1.0.crate"},
        };

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                struct promised *table = promised_new();
                struct http_head head = {.status = 200};
                char config[200];

                snprintf(config, sizeof config, "{\"dl\":\"%s\"}", templates[i][0]);
                feed(page_new(table, "https://i.example/c/config.json", 6, &head, true), config,
                     strlen(config), 4);
                feed(page_new(table, "https://i.example/c/mo/ss/moss", 7, &head, true), lines,
                     strlen(lines), 4);
                expect(table, templates[i][1], "sha256:" TWOS);
                promised_free(table);
        }
}

static void the_strongest_counts(void **state)
{
        struct checksum sum;
        const char *text = "sha1-AAAA sha512-" EMPTY_SHA512
                           " sha256-ERERERERERERERERERERERERERERERERERERERERERE=";

        (void)state;
        assert_true(checksum_from_integrity(&sum, text, strlen(text)));
        assert_int_equal(sum.kind, CHECKSUM_SHA512);
        assert_false(checksum_from_integrity(&sum, "md5-AAAA", 8));
        assert_false(checksum_from_hex(&sum, CHECKSUM_SHA1, ONES, 64));
}

static void redirects_and_age(void **state)
{
        struct promised *table = promised_new();
        struct checksum sum = {CHECKSUM_SHA1, {1}};
        uint64_t request;
        char url[64];

        (void)state;
        promised_add(table, "https://i.example/a", &sum, 1);
        promised_move(table, "https://i.example/a", "https://i.example/b");
        promised_move(table, "https://i.example/nothing", "https://i.example/c");
        assert_true(promised_find(table, "https://i.example/b", &sum, &request));
        assert_false(promised_find(table, "https://i.example/c", &sum, &request));
        for (unsigned i = 0; i < PROMISED_MAX; i++) {
                snprintf(url, sizeof url, "https://i.example/many/%u", i);
                promised_add(table, url, &sum, 2);
        }
        assert_false(promised_find(table, "https://i.example/b", &sum, &request));
        assert_true(promised_find(table, "https://i.example/many/0", &sum, &request));
        promised_free(table);
}

/* RFC 3986 section 5.4, as far as indexes use it. */
static void references(void **state)
{
        static const char *const cases[][2] = {
                {"g", "http://a/b/c/g"},        {"./g", "http://a/b/c/g"},
                {"g/", "http://a/b/c/g/"},      {"/g", "http://a/g"},
                {"//g/x", "http://g/x"},        {"?y", "http://a/b/c/d;p?y"},
                {"g?y", "http://a/b/c/g?y"},    {"g#s", "http://a/b/c/g"},
                {"", "http://a/b/c/d;p"},       {".", "http://a/b/c/"},
                {"..", "http://a/b/"},          {"../g", "http://a/b/g"},
                {"../..", "http://a/"},         {"../../../g", "http://a/g"},
                {"/./g", "http://a/g"},         {"g..", "http://a/b/c/g.."},
                {"./g/.", "http://a/b/c/g/"},   {"g?y/../x", "http://a/b/c/g?y/../x"},
                {"https://h/p", "https://h/p"}, {"https://h", "https://h"},
        };
        char out[64];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                assert_true(url_resolve("http://a/b/c/d;p?q", cases[i][0], out, sizeof out));
                assert_string_equal(out, cases[i][1]);
        }
        assert_true(url_resolve("http://a", "g", out, sizeof out));
        assert_string_equal(out, "http://a/g");
        assert_false(url_resolve("no host", "g", out, sizeof out));
        assert_false(url_resolve("http://a/", "much-too-long", out, 12));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_kind_of_page),
                cmocka_unit_test(compressed),
                cmocka_unit_test(other_bodies_are_no_pages),
                cmocka_unit_test(crates),
                cmocka_unit_test(the_strongest_counts),
                cmocka_unit_test(redirects_and_age),
                cmocka_unit_test(references),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
