/* Memory ends while a hash grows: uthash gives such an entry back and says nothing. The caller has
 * to hear of it, since what is missing in an index makes other findings, and no entry may be lost
 * or counted. (malloc(3) and calloc(3), which the compiler may make of it, are this program's own:
 * they fail at one of uthash's tables.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "explain/compare.h"
#include "explain/explain.h"
#include "inspect/http2.h"
#include "inspect/promised.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { TABLE_LEN = HASH_INITIAL_NUM_BUCKETS * sizeof(UT_hash_bucket), NEVER = -1 };

static int tables_left = NEVER; /* until one cannot be made; all that come after it can */
static int tables_made;

/* Of a build with a sanitizer it is the sanitizer's. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
void *REAL(malloc)(size_t len);
void *REAL(calloc)(size_t count, size_t len);

static bool fails(size_t len)
{
        if (len != TABLE_LEN)
                return false;
        tables_made++;
        return tables_left != NEVER && tables_left-- == 0;
}

void *malloc(size_t len)
{
        return fails(len) ? NULL : REAL(malloc)(len);
}

void *calloc(size_t count, size_t len)
{
        return len == 1 && fails(count) ? NULL : REAL(calloc)(count, len);
}

/* Returns what explain() does when the table number nth is not made. */
static int explained_without(const struct record_events *events, const struct catalogue *catalogue,
                             int nth, struct explanation *ex)
{
        int result;

        tables_made = 0;
        tables_left = nth;
        result = explain(events, catalogue, ex);
        tables_left = NEVER;
        return result;
}

static void test_an_index_without_an_entry_explains_nothing(void **state)
{
        static const char *const records[] = {"client-broke-off-twice", "real-mixed-503-full-disk",
                                              "one-cause-for-fifteen-closes", NULL};
        struct catalogue *catalogue;

        (void)state;
        assert_int_equal(catalogue_load(&catalogue, "contrib/catalogue.conf", NULL, NULL), 0);
        for (size_t i = 0; records[i] != NULL; i++) {
                struct record_events events;
                struct explanation ex;
                char path[256];
                int tables;

                snprintf(path, sizeof path, "tests/records/%s.jsonl", records[i]);
                assert_int_equal(record_read(path, &events), 0);
                assert_int_equal(explained_without(&events, catalogue, NEVER, &ex), 0);
                explanation_free(&ex);
                tables = tables_made;
                assert_true(tables > 3);
                for (int nth = 0; nth < tables; nth++)
                        assert_int_equal(explained_without(&events, catalogue, nth, &ex), -ENOMEM);
                record_events_free(&events);
        }
        catalogue_free(catalogue);
}

static void test_a_comparison_without_an_entry_is_none(void **state)
{
        struct record_events events;
        struct explanation ex = {0};
        const struct compared runs[2] = {{"a", &events, &ex}, {"b", &events, &ex}};
        struct differences differences;
        int tables;

        (void)state;
        assert_int_equal(record_read("tests/records/client-broke-off-twice.jsonl", &events), 0);
        tables_made = 0;
        assert_int_equal(compare(runs, &differences), 0);
        differences_free(&differences);
        tables = tables_made;
        assert_true(tables > 0);
        for (int nth = 0; nth < tables; nth++) {
                tables_left = nth;
                assert_int_equal(compare(runs, &differences), -ENOMEM);
                tables_left = NEVER;
                differences_free(&differences);
        }
        record_events_free(&events);
}

/* Each had been counted, until the oldest of none was to make room. */
static void test_promises_that_were_not_kept_are_not_counted(void **state)
{
        struct promised *table = promised_new();
        struct checksum sum = {0}, found;
        uint64_t request;
        char url[64];

        (void)state;
        for (int i = 0; i < PROMISED_MAX; i++) {
                snprintf(url, sizeof url, "https://files.example/%d", i);
                tables_left = 0;
                promised_add(table, url, &sum, 1);
                tables_left = NEVER;
                assert_false(promised_find(table, url, &found, &request));
        }
        promised_add(table, "https://files.example/a", &sum, 2);
        assert_true(promised_find(table, "https://files.example/a", &found, &request));
        assert_int_equal(request, 2);
        promised_free(table);
}

static int requests_told, requests_lost;

static void on_request(void *ctx, unsigned index, const struct http_head *head)
{
        (void)ctx;
        (void)index;
        (void)head;
        requests_told++;
}

static void on_lost(void *ctx, const char *what)
{
        (void)ctx;
        assert_string_equal(what, "a request");
        requests_lost++;
}

/* It ended the relay. */
static void test_a_stream_that_was_not_kept_is_lost_alone(void **state)
{
        const struct http_events events = {.request = on_request, .lost = on_lost};
        struct http2 *h = http2_new(&events, NULL);

        (void)state;
        http2_client(h, http2_preface, 24);
        tables_left = 0;
        http2_client(h, "\0\0\4\1\5\0\0\0\1\x82\x87\x84\x81", 13);
        tables_left = NEVER;
        assert_int_equal(requests_lost, 1);
        http2_client(h, "\0\0\4\1\5\0\0\0\3\x82\x87\x84\x81", 13);
        assert_int_equal(requests_told, 1);
        assert_int_equal(requests_lost, 1);
        http2_free(h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_index_without_an_entry_explains_nothing),
                cmocka_unit_test(test_a_comparison_without_an_entry_is_none),
                cmocka_unit_test(test_promises_that_were_not_kept_are_not_counted),
                cmocka_unit_test(test_a_stream_that_was_not_kept_is_lost_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
