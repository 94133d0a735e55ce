/* Events put together as spans, and events in words: the forms that records of real runs seldom
 * have. (tests/e2e/test_report_*.py look at whole reports.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "explain/line.h"
#include "explain/timeline.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 16 };

struct sample {
        json_t *items[EVENTS_MAX];
        struct record_events events;
        struct timeline timeline;
};

static void begin(struct sample *s, const char *const *lines)
{
        *s = (struct sample){.events = {.items = s->items}};
        for (size_t i = 0; lines[i] != NULL; i++) {
                s->items[i] = json_loads(lines[i], 0, NULL);
                assert_non_null(s->items[i]);
                s->events.count++;
        }
        assert_int_equal(timeline_init(&s->timeline, &s->events), 0);
}

static void end(struct sample *s)
{
        timeline_fini(&s->timeline);
        for (size_t i = 0; i < s->events.count; i++)
                json_decref(s->items[i]);
}

#define AT(second) "{\"time\":\"2026-01-31T13:20:0" #second ".000000Z\",\"event\":"

static void test_a_number_of_a_process_is_used_again(void **state)
{
        static const char *const lines[] = {
                AT(0) "\"process.start\",\"pid\":7,\"ppid\":1,\"argv\":[\"sh\"]}",
                AT(1) "\"process.start\",\"pid\":7,\"ppid\":1,\"argv\":[\"tool\",\"a b\"]}",
                AT(2) "\"process.start\",\"pid\":7,\"ppid\":2,\"argv\":[\"other\"]}",
                AT(3) "\"name.lookup\",\"pid\":7,\"name\":\"x\",\"result\":\"ok\"}", NULL};
        struct sample s;
        char *title;

        (void)state;
        begin(&s, lines);
        assert_int_equal(s.timeline.count, 3);
        title = timeline_title(&s.timeline, &s.timeline.spans[0]);
        assert_string_equal(title, "tool 'a b'");
        free(title);
        assert_int_equal(s.timeline.spans[0].children, 0);
        assert_int_equal(s.timeline.spans[1].children, 1);
        assert_int_equal(s.timeline.spans[2].process, 1);
        assert_int_equal(s.timeline.spans[1].end_us - s.timeline.spans[1].start_us, 1000000);
        end(&s);
}

static void test_what_has_no_end_lasts_as_long_as_the_record(void **state)
{
        static const char *const lines[] = {
                AT(0) "\"connect\",\"pid\":7,\"flow\":1,\"name\":\"x\",\"port\":443}",
                AT(1) "\"http.request\",\"pid\":7,\"flow\":1,\"request\":3,\"method\":\"GET\","
                      "\"url\":\"u\"}",
                AT(2) "\"http.request\",\"pid\":7,\"flow\":2,\"request\":3}",
                AT(3) "\"flow.close\",\"pid\":7,\"flow\":2,\"how\":\"refused\"}",
                AT(9) "\"run.end\",\"status\":0}",
                NULL};
        struct sample s;
        const struct span *spans;

        (void)state;
        begin(&s, lines);
        spans = s.timeline.spans;
        /* process, connection, request; a request on a connection of which nothing is known yet,
         * which is no span without an event of its own; and that connection's end */
        assert_int_equal(s.timeline.count, 5);
        assert_true(spans[1].open && spans[2].open && spans[3].open);
        assert_int_equal(spans[1].end_us, s.timeline.end_us);
        assert_int_equal(spans[2].end_us, s.timeline.end_us);
        assert_int_equal(spans[2].connection, 1);
        assert_true(spans[3].connection == TIMELINE_NONE);
        assert_int_equal(spans[3].end_us, s.timeline.end_us);
        assert_true(!spans[4].open && spans[4].failed);
        for (size_t i = 1; i < s.timeline.count; i++)
                assert_true(spans[i].first != TIMELINE_NONE);
        end(&s);
}

/* Nothing in a record is trusted: no field, no type, no order. */
static void test_fields_of_any_kind(void **state)
{
        static const char *const lines[] = {
                AT(0) "\"connect\",\"pid\":-7,\"flow\":-1,\"name\":[],\"port\":\"x\"}",
                AT(0) "\"process.start\",\"pid\":\"x\",\"argv\":{}}",
                AT(1) "\"http.body\",\"request\":99}",
                AT(1) "\"upstream\",\"flow\":9223372036854775807,\"duration_ms\":-1e300}",
                "{\"time\":\"never\",\"event\":\"connect\",\"flow\":1}",
                AT(2) "\"name.lookup\",\"duration_ms\":1e300,\"addresses\":[1,null]}",
                NULL};
        struct sample s;

        (void)state;
        begin(&s, lines);
        for (size_t i = 0; i < s.timeline.count; i++) {
                const struct span *span = &s.timeline.spans[i];

                free(timeline_title(&s.timeline, span));
                free(timeline_outcome(&s.timeline, span));
                assert_true(span->start_us <= span->end_us);
        }
        assert_int_equal(s.timeline.count, 3);
        end(&s);
}

static void said(const char *event, const char *wanted)
{
        json_t *item = json_loads(event, 0, NULL);
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        assert_non_null(item);
        line_print(out, item);
        fclose(out);
        assert_string_equal(text, wanted);
        free(text);
        json_decref(item);
}

static void test_lines(void **state)
{
        (void)state;
        said(AT(1) "\"file.failure\",\"pid\":7,\"exe\":\"/usr/bin/tool\",\"call\":\"rename\","
                   "\"path\":\"/a\",\"path2\":\"/b\",\"errno\":\"EXDEV\"}",
             "13:20:01.000  file.failure      tool[7] rename(\"/a\", \"/b\"): Invalid cross-device "
             "link (EXDEV)\n");
        said(AT(1) "\"upstream\",\"flow\":3,\"host\":\"2001:db8::1\",\"port\":443,\"via\":"
                   "\"direct\","
                   "\"result\":\"connected\",\"duration_ms\":11.25}",
             "13:20:01.000  upstream          #3 [2001:db8::1]:443: connected, direct, 11.2 ms\n");
        said(AT(1) "\"run.end\",\"signal\":\"TERM\",\"duration_ms\":8123.4}",
             "13:20:01.000  run.end           ended by TERM, 8.1 s\n");
        said(AT(1) "\"new.kind\",\"x\":1}", "13:20:01.000  new.kind          \n");
        said("{\"time\":\"\\u001b[2J\",\"event\":\"relay.note\",\"note\":\"a\\nb\\u001b[2J\"}",
             "              relay.note        a?b?[2J\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_number_of_a_process_is_used_again),
                cmocka_unit_test(test_what_has_no_end_lasts_as_long_as_the_record),
                cmocka_unit_test(test_fields_of_any_kind),
                cmocka_unit_test(test_lines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
