/* The library's own way from a program's path to the file that it is, beside realpath(3). */
#include "../../preload/own_exe.c"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char root[] = "/tmp/own-exe-XXXXXX";

static void make_link(const char *to, const char *name)
{
        char path[PATH_MAX];

        snprintf(path, sizeof path, "%s/%s", root, name);
        assert_int_equal(symlink(to, path), 0);
}

static int make_tree(void **state)
{
        char path[PATH_MAX];
        FILE *file;

        (void)state;
        if (mkdtemp(root) == NULL || chdir(root) < 0 || mkdir("usr", 0700) < 0 ||
            mkdir("usr/bin", 0700) < 0 || (file = fopen("usr/bin/dash", "w")) == NULL)
                return -1;
        fclose(file);
        snprintf(path, sizeof path, "%s/usr/bin/dash", root);
        make_link("usr/bin", "bin");
        make_link("dash", "usr/bin/sh");
        make_link(path, "usr/bin/absolute");
        make_link("../../bin/./sh", "usr/bin/around");
        make_link("../../../../../../../../..", "above");
        make_link("loop", "loop");
        make_link("gone", "dangling");
        return 0;
}

static int remove_tree(void **state)
{
        char command[100];

        (void)state;
        snprintf(command, sizeof command, "rm -r %s", root);
        return chdir("/") < 0 ? -1 : system(command);
}

static void check(const char *path)
{
        char ours[OWN_EXE_MAX], theirs[PATH_MAX];
        const char *expected = realpath(path, theirs);
        bool found = own_exe_resolve(path, ours);

        if (expected != NULL && strcmp(expected, "/") != 0) {
                assert_true(found);
                assert_string_equal(ours, expected);
        } else {
                assert_false(found);
        }
}

static void as_realpath_does(void **state)
{
        static const char *const names[] = {
                "",           "usr/bin/dash",  "bin/dash",       "bin/sh",       "bin/absolute",
                "bin/around", "bin/../bin/sh", "usr/../bin//sh", "usr/./bin/sh", "above/bin/sh",
                "loop",       "loop/x",        "dangling",       "dangling/x",   "nothing",
                "bin/dash/x", "bin/",
        };
        char path[PATH_MAX];

        (void)state;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                snprintf(path, sizeof path, "%s/%s", root, names[i]);
                check(path);
        }
        check("/bin/sh");
        check("/");
        check("//");
        check("/..");
        check("/proc/self/exe");
}

/* A chain of as many links as the kernel follows, and one more. */
static void as_many_links_as_the_kernel(void **state)
{
        char name[20], to[20], path[PATH_MAX];
        struct stat st;

        (void)state;
        make_link("usr", "chain0");
        for (int i = 1; i <= 40; i++) {
                snprintf(name, sizeof name, "chain%d", i);
                snprintf(to, sizeof to, "chain%d", i - 1);
                make_link(to, name);
        }
        for (int i = 38; i <= 40; i++) {
                char out[OWN_EXE_MAX];

                snprintf(path, sizeof path, "%s/chain%d", root, i);
                assert_int_equal(own_exe_resolve(path, out), stat(path, &st) == 0);
        }
        assert_int_equal(stat(path, &st), -1);
        assert_int_equal(errno, ELOOP);
}

/* Too long anywhere on the way: nothing is written behind the end (ASan looks). */
static void what_is_too_long(void **state)
{
        for (size_t len = OWN_EXE_MAX - 40; len < OWN_EXE_MAX + 40; len++) {
                char *path = malloc(len + 1), *out = malloc(OWN_EXE_MAX);
                size_t at;

                assert_non_null(path);
                assert_non_null(out);
                snprintf(path, len + 1, "%s/bin/", root);
                for (at = strlen(path); at < len; at++)
                        path[at] = '/';
                path[len] = '\0';
                memcpy(path + len - 2, "sh", 2);
                if (len < OWN_EXE_MAX)
                        check(path);
                else
                        assert_false(own_exe_resolve(path, out));
                memset(path + 5, 'x', len - 5);
                assert_false(own_exe_resolve(path, out));
                free(path);
                free(out);
        }
        (void)state;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(as_realpath_does),
                cmocka_unit_test(as_many_links_as_the_kernel),
                cmocka_unit_test(what_is_too_long),
        };

        return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
