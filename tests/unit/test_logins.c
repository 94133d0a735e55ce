/* The file of users and passwords: what is read, what is refused with its line, and what compares.
 */
#include "net/logins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char path[] = "/tmp/tapline-logins-XXXXXX", why[256];
static bool others;

static int make_file(void **state)
{
        int fd = mkstemp(path);

        (void)state;
        return fd < 0 || close(fd) < 0;
}

static int remove_file(void **state)
{
        (void)state;
        return unlink(path);
}

static struct logins *read_text(const char *text)
{
        FILE *out = fopen(path, "w");

        assert_non_null(out);
        fputs(text, out);
        fclose(out);
        why[0] = '\0';
        return logins_read(path, &others, why, sizeof why);
}

static bool has(const struct logins *l, const char *user, const char *password)
{
        return logins_has(l, user, strlen(user), password, strlen(password));
}

static bool has_basic(const struct logins *l, const char *value)
{
        return logins_has_basic(l, value, strlen(value));
}

static void test_logins(void **state)
{
        struct logins *l = read_text("# users\n\nme:secret\r\nyou:with:colons\nlast:line");

        (void)state;
        assert_non_null(l);
        assert_true(has(l, "me", "secret"));
        assert_true(has(l, "you", "with:colons"));
        assert_true(has(l, "last", "line"));
        assert_false(has(l, "me", "secret "));
        assert_false(has(l, "me", "secre"));
        assert_false(has(l, "me", ""));
        assert_false(has(l, "", ""));
        assert_false(has(l, "you:with", "colons"));
        assert_false(has(l, "# users", ""));
        logins_free(l);
}

static void test_basic(void **state)
{
        struct logins *l = read_text("me:secret\nyou:pw\nxyz:abcde\n");

        (void)state;
        assert_non_null(l);
        assert_true(has_basic(l, "Basic bWU6c2VjcmV0"));
        assert_true(has_basic(l, "bAsIc  bWU6c2VjcmV0"));
        assert_true(has_basic(l, "Basic eW91OnB3"));
        assert_true(has_basic(l, "Basic eHl6OmFiY2Rl"));
        assert_false(has_basic(l, "Basic bWU6c2VjcmV1"));
        assert_false(has_basic(l, "Basic bWU6c2VjcmV"));
        assert_false(has_basic(l, "Basic ===="));
        assert_false(has_basic(l, "Basic "));
        assert_false(has_basic(l, "Basic"));
        assert_false(has_basic(l, ""));
        assert_false(has_basic(l, "Digest bWU6c2VjcmV0"));
        assert_false(has_basic(l, "Basic !!!!"));
        logins_free(l);
}

static void test_padding(void **state)
{
        struct logins *l = read_text("a:b\na:bc\na:bcd\n");

        (void)state;
        assert_non_null(l);
        assert_true(has_basic(l, "Basic YTpi"));
        assert_true(has_basic(l, "Basic YTpiYw=="));
        assert_true(has_basic(l, "Basic YTpiY2Q="));
        assert_false(has_basic(l, "Basic YTpiZA=="));
        logins_free(l);
}

static void test_refused_files(void **state)
{
        char text[3000];

        (void)state;
        assert_null(read_text("# nobody\n"));
        assert_non_null(strstr(why, "no USER:PASSWORD"));
        assert_null(read_text("me:secret\nnocolon\n"));
        assert_non_null(strstr(why, ":2: "));
        assert_null(strstr(why, "nocolon"));
        assert_null(read_text("me:\n"));
        assert_null(read_text(":secret\n"));
        memset(text, 'x', sizeof text);
        text[2] = ':';
        text[sizeof text - 1] = '\0';
        assert_null(read_text(text));
        assert_non_null(strstr(why, "too long"));
        assert_null(logins_read("/nonexistent/logins", &others, why, sizeof why));
        assert_non_null(strstr(why, "/nonexistent/logins"));
}

static void test_open_to_others(void **state)
{
        (void)state;
        assert_int_equal(chmod(path, 0600), 0);
        logins_free(read_text("a:b\n"));
        assert_false(others);
        assert_int_equal(chmod(path, 0640), 0);
        logins_free(read_text("a:b\n"));
        assert_true(others);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_logins),         cmocka_unit_test(test_basic),
                cmocka_unit_test(test_padding),        cmocka_unit_test(test_refused_files),
                cmocka_unit_test(test_open_to_others),
        };

        return cmocka_run_group_tests(tests, make_file, remove_file);
}
