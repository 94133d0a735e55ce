/* Lines of the record: always one line of valid JSON, whatever goes in, however long; and a file
 * that never holds half a line after a full disk. */
#include "record/event.h"
#include "record/writer.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct event e;

static json_t *finish(void)
{
        size_t len;
        const char *text = event_finish(&e, &len);
        json_t *value;

        assert_int_equal(text[len - 1], '\n');
        assert_null(memchr(text, '\n', len - 1));
        value = json_loadb(text, len - 1, 0, NULL);
        assert_non_null(value);
        return value;
}

static void test_common_fields(void **state)
{
        struct event_who who = {42, 43, "/usr/bin/x"};
        json_t *value;

        (void)state;
        event_begin_at(&e, EVENT_CONNECT, &who, 7, 1795132800123456789);
        event_ms(&e, "duration_ms", 1234567);
        value = finish();
        assert_string_equal(json_string_value(json_object_get(value, "time")),
                            "2026-11-20T00:00:00.123456Z");
        assert_string_equal(json_string_value(json_object_get(value, "event")), "connect");
        assert_int_equal(json_integer_value(json_object_get(value, "pid")), 42);
        assert_int_equal(json_integer_value(json_object_get(value, "flow")), 7);
        assert_true(json_real_value(json_object_get(value, "duration_ms")) == 1234.567);
        json_decref(value);
}

static void test_any_byte_makes_valid_json(void **state)
{
        char bytes[256];
        json_t *value;

        (void)state;
        for (int i = 0; i < 256; i++)
                bytes[i] = (char)i;
        event_begin(&e, EVENT_FILE_FAILURE, NULL, 0);
        event_strn(&e, "path", bytes, sizeof bytes);
        event_str(&e, "utf8", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
        event_str(&e, "surrogate", "\xed\xa0\x80");
        event_str(&e, "overlong", "\xc0\xaf");
        event_str(&e, "none", NULL);
        value = finish();
        assert_string_equal(json_string_value(json_object_get(value, "utf8")),
                            "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
        assert_null(json_object_get(value, "none"));
        assert_null(json_object_get(value, "clipped"));
        json_decref(value);
}

/* Plain bytes are looked at eight at a time: each other one is found wherever it stands. */
static void test_a_byte_is_escaped_wherever_it_stands(void **state)
{
        (void)state;
        for (int byte = 1; byte < 0x80; byte++)
                for (size_t at = 0; at < 17; at++) {
                        char text[] = "seventeen letters";
                        json_t *value;

                        text[at] = (char)byte;
                        event_begin(&e, EVENT_RELAY_NOTE, NULL, 0);
                        event_str(&e, "note", text);
                        value = finish();
                        assert_string_equal(json_string_value(json_object_get(value, "note")),
                                            text);
                        json_decref(value);
                }
}

static void test_too_much_is_clipped_and_stays_json(void **state)
{
        static char big[EVENT_CAP];
        json_t *value;

        (void)state;
        memset(big, 'x', sizeof big - 1);
        event_begin(&e, EVENT_HTTP_REQUEST, NULL, 0);
        event_open_array(&e, "headers");
        for (int i = 0; i < 70; i++) {
                event_open_array(&e, NULL);
                event_str(&e, NULL, "name");
                event_strn(&e, NULL, big, 1000);
                event_close_array(&e);
        }
        event_close_array(&e);
        event_strn(&e, "big", big, sizeof big - 1);
        value = finish();
        assert_true(json_is_true(json_object_get(value, "clipped")));
        json_decref(value);
}

static void test_file_is_private_and_not_a_link(void **state)
{
        char dir[] = "/tmp/tapline-test-XXXXXX", path[64], other[64];
        struct record *rec;
        struct stat st;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/a", dir);
        snprintf(other, sizeof other, "%s/b", dir);
        assert_int_equal(record_open(&rec, path), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        record_free(rec);
        assert_int_equal(symlink(path, other), 0);
        assert_int_equal(record_open(&rec, other), -EPERM);
        unlink(path);
        unlink(other);
        rmdir(dir);
}

/* A record that is continued, on a disk without room for one byte more. */
static void test_full_disk_takes_nothing_away(void **state)
{
        char path[] = "/tmp/tapline-test-XXXXXX";
        struct rlimit limit, old;
        struct record *rec;
        struct stat st;
        int fd = mkstemp(path);

        (void)state;
        assert_int_equal(write(fd, "{}\n", 3), 3);
        close(fd);
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &old);
        limit = (struct rlimit){3, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        assert_int_equal(record_open(&rec, path), 0);
        event_begin(&e, EVENT_RELAY_NOTE, NULL, 0);
        record_write(rec, &e);
        assert_true(record_flush(rec) < 0);
        assert_int_equal(record_dropped(rec), 1);
        record_free(rec);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 3);
        unlink(path);
}

/* RLIMIT_FSIZE plays the full disk. */
static void test_full_disk_leaves_whole_lines(void **state)
{
        char path[] = "/tmp/tapline-test-XXXXXX", line[4096];
        struct rlimit limit, old;
        struct record *rec;
        int fd = mkstemp(path), lines = 0;
        FILE *in;

        (void)state;
        close(fd);
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &old);
        limit = (struct rlimit){1000, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        assert_int_equal(record_open(&rec, path), 0);
        for (int i = 0; i < 20; i++) {
                event_begin(&e, EVENT_RELAY_NOTE, NULL, 0);
                event_str(&e, "note",
                          "something that takes a hundred bytes or so, one way or another");
                record_write(rec, &e);
                record_flush(rec);
        }
        assert_true(record_dropped(rec) > 0);
        record_free(rec);
        setrlimit(RLIMIT_FSIZE, &old);
        in = fopen(path, "r");
        for (; fgets(line, sizeof line, in) != NULL; lines++)
                assert_int_equal(line[strlen(line) - 1], '\n');
        assert_true(lines > 0);
        fclose(in);
        unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_common_fields),
                cmocka_unit_test(test_any_byte_makes_valid_json),
                cmocka_unit_test(test_a_byte_is_escaped_wherever_it_stands),
                cmocka_unit_test(test_too_much_is_clipped_and_stays_json),
                cmocka_unit_test(test_file_is_private_and_not_a_link),
                cmocka_unit_test(test_full_disk_leaves_whole_lines),
                cmocka_unit_test(test_full_disk_takes_nothing_away),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
