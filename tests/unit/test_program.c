/* What is told of a program before it is started: the lists of --only and --except, and files of
 * all kinds, damaged ones too. */
#include "tapline_program.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void lists_choose_programs(void **state)
{
        static const struct {
                const char *only, *except, *name;
                bool chosen;
        } cases[] = {
                {NULL, NULL, "sh", true},       {"", "", "sh", true},
                {"sh", NULL, "sh", true},       {"sh", NULL, "/bin/sh", true},
                {"sh", NULL, "bash", false},    {"sh", NULL, "shx", false},
                {"*sh", NULL, "bash", true},    {"b*h", NULL, "bash", true},
                {"b*h", NULL, "bash2", false},  {"b**sh*", NULL, "bash", true},
                {"*a*a*b", NULL, "aaab", true}, {"*a*a*b", NULL, "aaa", false},
                {"????", NULL, "bash", true},   {"???", NULL, "bash", false},
                {"*", NULL, "", true},          {"?", NULL, "", false},
                {"x,bash", NULL, "bash", true}, {" x \tbash ,", NULL, "bash", true},
                {"xbash", NULL, "bash", false}, {NULL, "bash", "bash", false},
                {NULL, "x", "bash", true},      {"bash", "b*", "bash", false},
                {"*", "[", "[", false},         {"python3*", NULL, "python3.11", true},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                if (program_is_chosen(cases[i].only, cases[i].except, &cases[i].name, 1) !=
                    cases[i].chosen)
                        fail_msg("case %zu: %s", i, cases[i].name);
        assert_false(program_is_chosen("sh", NULL, (const char *[]){NULL, "x"}, 2));
        assert_true(program_is_chosen("sh", NULL, (const char *[]){NULL, "x", "/bin/sh"}, 3));
}

static char path[] = "/tmp/test_program.XXXXXX";

static void store(const void *data, size_t len)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, len, file), len);
        fclose(file);
        assert_int_equal(chmod(path, 0755), 0);
}

static enum wire_uncovered_reason reason_of(const void *data, size_t len)
{
        struct program found;

        store(data, len);
        program_look(AT_FDCWD, path, &found);
        if (found.reason != WIRE_COVERED)
                assert_string_equal(found.path, path);
        return found.reason;
}

static void what_is_no_program_is_left_to_the_kernel(void **state)
{
        struct program found;

        (void)state;
        assert_int_equal(reason_of("", 0), WIRE_COVERED);
        assert_int_equal(reason_of("#!", 2), WIRE_COVERED);
        assert_int_equal(reason_of("#!\n", 3), WIRE_COVERED);
        assert_int_equal(reason_of("#! \t \n", 6), WIRE_COVERED);
        assert_int_equal(reason_of("\177ELF", 4), WIRE_COVERED);
        program_look(AT_FDCWD, "/", &found);
        assert_int_equal(found.reason, WIRE_COVERED);
        program_look(AT_FDCWD, "/no/such/file", &found);
        assert_int_equal(found.reason, WIRE_COVERED);
        program_look_fd(-1, &found);
        assert_int_equal(found.reason, WIRE_COVERED);
        program_search("", &found);
        assert_int_equal(found.reason, WIRE_COVERED);
}

static void a_script_may_name_itself(void **state)
{
        char line[80];

        (void)state;
        assert_int_equal(reason_of(line, (size_t)snprintf(line, sizeof line, "#!%s\n", path)),
                         WIRE_COVERED);
}

static void the_interpreter_of_a_script_may_fill_the_line(void **state)
{
        char line[4096];

        (void)state;
        memset(line, 'x', sizeof line);
        memcpy(line, "#!/", 3);
        assert_int_equal(reason_of(line, sizeof line), WIRE_COVERED);
}

/* The test's own head, cut at each length and with each byte of it turned over. */
static void damaged_programs_do_no_harm(void **state)
{
        enum { LEN = 1200 };
        char head[LEN], damaged[LEN];
        FILE *self = fopen("/bin/sh", "r"); /* a sanitizer may be in our own */

        (void)state;
        assert_non_null(self);
        assert_int_equal(fread(head, 1, LEN, self), LEN);
        fclose(self);
        for (size_t len = 0; len < LEN; len += len < 128 ? 1 : 7)
                reason_of(head, len);
        for (size_t i = 0; i < LEN; i += i < 256 ? 1 : 7) {
                memcpy(damaged, head, LEN);
                damaged[i] = (char)~damaged[i];
                reason_of(damaged, LEN);
        }
}

static void programs_are_told_apart(void **state)
{
        struct program found;
        char head[64];
        FILE *self = fopen("/bin/sh", "r"); /* a sanitizer may be in our own */

        (void)state;
        program_look(AT_FDCWD, "/bin/sh", &found);
        assert_int_equal(found.reason, WIRE_COVERED);
        assert_non_null(self);
        assert_int_equal(fread(head, 1, sizeof head, self), sizeof head);
        fclose(self);
        head[18] = 1; /* e_machine */
        assert_int_equal(reason_of(head, sizeof head), WIRE_FOREIGN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lists_choose_programs),
                cmocka_unit_test(what_is_no_program_is_left_to_the_kernel),
                cmocka_unit_test(a_script_may_name_itself),
                cmocka_unit_test(the_interpreter_of_a_script_may_fill_the_line),
                cmocka_unit_test(damaged_programs_do_no_harm),
                cmocka_unit_test(programs_are_told_apart),
        };
        int fd = mkstemp(path), result;

        if (fd < 0)
                return 1;
        close(fd);
        result = cmocka_run_group_tests(tests, NULL, NULL);
        unlink(path);
        return result;
}
