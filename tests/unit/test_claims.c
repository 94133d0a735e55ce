/* claims.c: lines found whole, byte by byte, coloured, cut and unfinished. */
#include "cli/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char catalogue_text[] =
        "tools = ( { name = \"glue\"; programs = [ \"glue\" ];\n"
        "  claims = ( { says = \"cannot reach * today\"; blames = \"network\"; } ); } );\n";

struct lab {
        struct catalogue *catalogue;
        struct record *record;
        char dir[32], config[64], path[64];
        struct claims claims;
};

static int setup(void **state)
{
        struct lab *lab = calloc(1, sizeof *lab);
        FILE *out;

        strcpy(lab->dir, "/tmp/claims-XXXXXX");
        assert_non_null(mkdtemp(lab->dir));
        snprintf(lab->config, sizeof lab->config, "%s/c.conf", lab->dir);
        snprintf(lab->path, sizeof lab->path, "%s/r.jsonl", lab->dir);
        out = fopen(lab->config, "we");
        fputs(catalogue_text, out);
        fclose(out);
        assert_int_equal(catalogue_load(&lab->catalogue, lab->config, NULL, NULL), 0);
        assert_int_equal(record_open(&lab->record, lab->path), 0);
        lab->claims = (struct claims){
                .catalogue = lab->catalogue, .record = lab->record, .stream = "stdout"};
        *state = lab;
        return 0;
}

static int teardown(void **state)
{
        struct lab *lab = *state;

        record_free(lab->record);
        catalogue_free(lab->catalogue);
        unlink(lab->config);
        unlink(lab->path);
        rmdir(lab->dir);
        free(lab);
        return 0;
}

/* How many events the record holds that have text in it. */
static int count(struct lab *lab, const char *text)
{
        char line[3 * CLAIMS_LINE_MAX];
        FILE *in = fopen(lab->path, "re");
        int n = 0;

        while (fgets(line, sizeof line, in) != NULL)
                n += strstr(line, text) != NULL;
        fclose(in);
        return n;
}

static void feed(struct lab *lab, const char *text)
{
        claims_feed(&lab->claims, text, strlen(text));
}

static void test_a_line(void **state)
{
        struct lab *lab = *state;

        feed(lab, "one\n  glue: cannot reach a.example today!  \r\nmore\n");
        assert_int_equal(count(lab, "\"text\":\"glue: cannot reach a.example today!\""), 1);
        assert_int_equal(count(lab, "\"blames\":\"network\""), 1);
        assert_int_equal(count(lab, "more"), 0);
}

static void test_byte_by_byte_with_colours(void **state)
{
        static const char text[] =
                "\033[1;31mglue\033[0m: \033]0;title\acannot \033(Breach b today\n";
        struct lab *lab = *state;

        for (size_t i = 0; i < sizeof text - 1; i++)
                claims_feed(&lab->claims, text + i, 1);
        assert_int_equal(count(lab, "cannot"), 1);
        assert_int_equal(count(lab, "\\u001b"), 0);
}

static void test_without_an_end(void **state)
{
        struct lab *lab = *state;

        feed(lab, "cannot reach c today");
        assert_int_equal(count(lab, "cannot"), 0);
        claims_end(&lab->claims);
        assert_int_equal(count(lab, "cannot"), 1);
}

static void test_a_line_without_bound(void **state)
{
        struct lab *lab = *state;

        feed(lab, "cannot reach d today ");
        for (int i = 0; i < 3 * CLAIMS_LINE_MAX; i++)
                feed(lab, "x");
        feed(lab, "\ncannot reach e today\n");
        assert_int_equal(count(lab, "cannot reach d"), 1);
        assert_int_equal(count(lab, "cannot reach e"), 1);
}

static void test_secrets_and_repetition(void **state)
{
        struct lab *lab = *state;

        for (int i = 0; i < 1000; i++)
                feed(lab, "cannot reach http://me:word@f/ today\n");
        assert_in_range(count(lab, "cannot reach"), 1, 100);
        assert_int_equal(count(lab, "word"), 0);
}

static void test_anything(void **state)
{
        struct lab *lab = *state;
        unsigned seed = 1;
        char bytes[512];

        for (int round = 0; round < 200; round++) {
                for (size_t i = 0; i < sizeof bytes; i++)
                        bytes[i] = (char)((seed = seed * 1103515245u + 12345u) >> 16);
                claims_feed(&lab->claims, bytes, sizeof bytes);
        }
        claims_end(&lab->claims);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_line, setup, teardown),
                cmocka_unit_test_setup_teardown(test_byte_by_byte_with_colours, setup, teardown),
                cmocka_unit_test_setup_teardown(test_without_an_end, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_line_without_bound, setup, teardown),
                cmocka_unit_test_setup_teardown(test_secrets_and_repetition, setup, teardown),
                cmocka_unit_test_setup_teardown(test_anything, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
