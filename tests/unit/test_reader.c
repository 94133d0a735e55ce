/* Records come from users and from relays that were killed: whatever the file holds, reading it
 * ends in events or in one clear error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "record/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START "{\"time\":\"2026-01-31T13:20:00.123456Z\",\"event\":\"run.start\"}\n"
#define CLOSE "{\"time\":\"2026-01-31T13:20:01.000000Z\",\"event\":\"flow.close\",\"flow\":7}\n"

/* Read a record that holds these bytes. */
static int read_bytes(const char *bytes, size_t len, struct record_events *out)
{
        char path[] = "/tmp/tapline-reader-XXXXXX";
        int fd = mkstemp(path), result;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, len), (ssize_t)len);
        close(fd);
        result = record_read(path, out);
        unlink(path);
        return result;
}

static int read_text(const char *text, struct record_events *out)
{
        return read_bytes(text, strlen(text), out);
}

static void keeps_the_order(void **state)
{
        struct record_events events;

        (void)state;
        assert_int_equal(read_text(START "\n" CLOSE, &events), 0);
        assert_int_equal(events.count, 2);
        assert_int_equal(events.bad_lines, 0);
        assert_false(events.truncated);
        assert_string_equal(event_get_str(events.items[0], "event"), "run.start");
        assert_int_equal(event_get_int(events.items[1], "flow", 0), 7);
        record_events_free(&events);
        record_events_free(&events);
}

static void any_cut_leaves_the_whole_lines(void **state)
{
        static const char text[] = START CLOSE CLOSE;
        struct record_events events;

        (void)state;
        for (size_t len = 1; len < sizeof text; len++) {
                bool whole_first = len >= strlen(START);
                int result = read_bytes(text, len, &events);

                assert_int_equal(result, whole_first ? 0 : -EINVAL);
                if (!whole_first)
                        continue;
                assert_int_equal(events.count, 1 + (len - strlen(START)) / strlen(CLOSE));
                assert_int_equal(events.truncated, text[len - 1] != '\n');
                record_events_free(&events);
        }
}

static void bad_lines_are_counted(void **state)
{
        struct record_events events;

        (void)state;
        assert_int_equal(read_text(START
                                   "rubbish\n{\"a\":1}\n[1]\n{\"time\":1,\"event\":2}\n" CLOSE,
                                   &events),
                         0);
        assert_int_equal(events.count, 2);
        assert_int_equal(events.bad_lines, 4);
        record_events_free(&events);
}

static void a_nul_spoils_only_its_line(void **state)
{
        static const char text[] = START "{\"ev\0ent\":1}\n" CLOSE;
        struct record_events events;

        (void)state;
        assert_int_equal(read_bytes(text, sizeof text - 1, &events), 0);
        assert_int_equal(events.count, 2);
        assert_int_equal(events.bad_lines, 1);
        record_events_free(&events);
}

static void what_is_no_record(void **state)
{
        static const char *const texts[] = {
                "hello\n",      "\n",          "[]\n", "{}\n", "{\"event\":\"x\"}\n",
                "{\"time\":\"", "\x7f\x45LF\n"};
        struct record_events events;

        (void)state;
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                assert_int_equal(read_text(texts[i], &events), -EINVAL);
                assert_int_equal(events.count, 0);
                assert_null(events.items);
        }
        assert_int_equal(read_text("", &events), -ENODATA);
        assert_int_equal(record_read("/tmp", &events), -EISDIR);
        assert_int_equal(record_read("/dev/zero", &events), -EINVAL);
        assert_int_equal(record_read("/nonexistent/record", &events), -ENOENT);
}

/* Nesting and length are bounded: neither stack nor memory goes with the file. */
static void deep_and_long_lines_are_bad(void **state)
{
        size_t len = 3 * 1024 * 1024;
        char *text = malloc(len);
        struct record_events events;

        (void)state;
        assert_non_null(text);
        memset(text, '[', len);
        memcpy(text, START, strlen(START));
        text[len / 3] = '\n';
        text[len - 1] = '\n';
        assert_int_equal(read_bytes(text, len, &events), 0);
        assert_int_equal(events.count, 1);
        assert_int_equal(events.bad_lines, 2);
        record_events_free(&events);
        free(text);
}

static void fields_have_types(void **state)
{
        json_t *event =
                json_pack("{s:s, s:i, s:b, s:f, s:n}", "s", "text", "i", 5, "b", 1, "f", 1.5, "n");

        (void)state;
        assert_string_equal(event_get_str(event, "s"), "text");
        assert_null(event_get_str(event, "i"));
        assert_null(event_get_str(NULL, "s"));
        assert_int_equal(event_get_int(event, "i", -1), 5);
        assert_int_equal(event_get_int(event, "f", -1), -1);
        assert_int_equal(event_get_int(event, "absent", -1), -1);
        assert_true(event_get_bool(event, "b", false));
        assert_true(event_get_bool(event, "n", true));
        json_decref(event);
}

static int64_t time_of(const char *text)
{
        json_t *event = json_pack("{s:s}", "time", text);
        int64_t us = event_get_time_us(event);

        json_decref(event);
        return us;
}

static void times_are_utc(void **state)
{
        (void)state;
        assert_int_equal(time_of("1970-01-01T00:00:01.5Z"), 1500000);
        assert_int_equal(time_of("2026-01-31T13:20:00.123456Z"), 1769865600123456);
        assert_int_equal(time_of("2026-01-31T13:20:00Z"), 1769865600000000);
        assert_int_equal(time_of("2026-01-31T13:20:00.1234567Z"), 1769865600123456);
        assert_int_equal(time_of("2026-01-31T13:20:00+01:00"), -1);
        assert_int_equal(time_of("yesterday"), -1);
        assert_int_equal(event_get_time_us(NULL), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_the_order),
                cmocka_unit_test(any_cut_leaves_the_whole_lines),
                cmocka_unit_test(bad_lines_are_counted),
                cmocka_unit_test(a_nul_spoils_only_its_line),
                cmocka_unit_test(what_is_no_record),
                cmocka_unit_test(deep_and_long_lines_are_bad),
                cmocka_unit_test(fields_have_types),
                cmocka_unit_test(times_are_utc),
        };

        return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
