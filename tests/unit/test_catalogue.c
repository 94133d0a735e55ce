/* The catalogue that is shipped holds what the manual promises; a user's own adds and overrides; a
 * mistake in one is named with file and line. And: which tool an argv runs, whose cache a path is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "explain/catalogue.h"
#include "explain/tools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHIPPED "contrib/catalogue.conf"

static struct catalogue *shipped;

static int load_shipped(void **state)
{
        (void)state;
        return catalogue_load(&shipped, SHIPPED, NULL, NULL);
}

static int free_shipped(void **state)
{
        (void)state;
        catalogue_free(shipped);
        return 0;
}

static const struct catalogue_tool *tool_named(const struct catalogue *cat, const char *name)
{
        for (size_t i = 0; i < catalogue_count(cat); i++)
                if (strcmp(catalogue_get(cat, i)->name, name) == 0)
                        return catalogue_get(cat, i);
        return NULL;
}

static void the_promised_tools_are_there(void **state)
{
        static const char *const names[] = {"pip",     "poetry",     "uv",    "pdm",    "npm",
                                            "yarn",    "yarn-berry", "pnpm",  "bun",    "deno",
                                            "cargo",   "go",         "maven", "gradle", "gem",
                                            "bundler", "composer",   "nuget", "conda"};

        (void)state;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                const struct catalogue_tool *tool = tool_named(shipped, names[i]);

                assert_non_null(tool);
                assert_true(tool->cache_count > 0);
                assert_non_null(tool->programs[0]);
                assert_non_null(tool->caches[0].variable);
                assert_non_null(tool->variables[0]);
        }
        assert_string_equal(tool_named(shipped, "poetry")->caches[0].variable, "POETRY_CACHE_DIR");
        assert_string_equal(tool_named(shipped, "poetry")->title, "Poetry");
}

static bool lists(const char **list, const char *text)
{
        for (; *list != NULL; list++)
                if (strcmp(*list, text) == 0)
                        return true;
        return false;
}

static void variables_of_paths_are_recorded(void **state)
{
        (void)state;
        assert_true(lists(tool_named(shipped, "go")->variables, "GOPATH"));
        assert_true(lists(tool_named(shipped, "go")->variables, "GOCACHE"));
        assert_true(lists(tool_named(shipped, "bun")->variables, "BUN_INSTALL"));
        assert_true(lists(tool_named(shipped, "pip")->variables, "XDG_CACHE_HOME"));
}

/* A file with this text; path is a template of mkstemp. */
static void write_file(char *path, const char *text)
{
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static void a_user_adds_and_overrides(void **state)
{
        char path[] = "/tmp/tapline-catalogue-XXXXXX";
        struct catalogue *cat;

        (void)state;
        write_file(path, "tools = ( { name = \"pip\"; programs = [\"pip\"];\n"
                         "  caches = ( { variable = \"MY_PIP\"; paths = [\"~/p\"]; } ); },\n"
                         "  { name = \"own\"; programs = [\"own\"]; } );\n");
        assert_int_equal(catalogue_load(&cat, SHIPPED, path, NULL), 0);
        unlink(path);
        assert_int_equal(catalogue_count(cat), catalogue_count(shipped) + 1);
        assert_string_equal(tool_named(cat, "pip")->caches[0].variable, "MY_PIP");
        assert_int_equal(tool_named(cat, "own")->cache_count, 0);
        assert_non_null(tool_named(cat, "poetry"));
        catalogue_free(cat);
}

static void mistakes_are_named(void **state)
{
        static const struct {
                const char *text, *message;
        } cases[] = {
                {"tools = ( { name = \"x\"; \n programs = ; } );", ":2: "},
                {"", "no list"},
                {"tools = 5;", "no list"},
                {"tools = ( 5 );", "a tool is a group"},
                {"tools = (\n{ programs = [\"x\"]; } );", ":2: a tool has no name"},
                {"tools = ( { name = \"x\"; } );", "no programs are named for: x"},
                {"tools = ( { name = 5; } );", "a string is wanted: name"},
                {"tools = ( { nmae = \"x\"; } );", "unknown key: nmae"},
                {"tools = ( { name = \"x\"; programs = [5]; } );", "not a string: programs"},
                {"tools = ( { name = \"x\"; programs = \"x\"; } );", "a list of strings is wanted"},
                {"tools = ( { name = \"x\"; caches = ( { path = \"y\"; } ); } );",
                 "unknown key: path"},
                {"tools = ( { name = \"x\"; caches = ( { optional = 1; } ); } );", "true or false"},
                {"tools = ( { name = \"x\"; caches = 1; } );", "caches is a list"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char path[] = "/tmp/tapline-catalogue-XXXXXX", *error = NULL;
                struct catalogue *cat;

                write_file(path, cases[i].text);
                assert_int_equal(catalogue_load(&cat, path, NULL, &error), -EINVAL);
                assert_int_equal(catalogue_load(&cat, path, NULL, NULL), -EINVAL);
                assert_null(cat);
                assert_non_null(error);
                assert_non_null(strstr(error, cases[i].message));
                assert_int_equal(strncmp(error, path, strlen(path)), 0);
                free(error);
                unlink(path);
        }
}

static void files_that_are_not_there(void **state)
{
        struct catalogue *cat;

        (void)state;
        assert_int_equal(catalogue_load(&cat, "/nonexistent/c", NULL, NULL), -ENOENT);
        assert_int_equal(catalogue_load(&cat, SHIPPED, "/nonexistent/c", NULL), 0);
        catalogue_free(cat);
        catalogue_free(NULL);
        assert_int_equal(catalogue_count(NULL), 0);
}

static const char *tool_of(const struct tools *tools, const char *json, const char *exe)
{
        json_t *argv = json_loads(json, 0, NULL);
        const struct catalogue_tool *tool = tools_of_argv(tools, argv, exe);

        json_decref(argv);
        return tool != NULL ? tool->name : "-";
}

static void an_argv_names_its_tool(void **state)
{
        static const struct {
                const char *argv, *exe, *tool;
        } cases[] = {
                {"[\"poetry\",\"install\"]", NULL, "poetry"},
                {"[\"/usr/bin/python3.11\",\"/x/bin/poetry\",\"install\"]", NULL, "poetry"},
                {"[\"python3\",\"-m\",\"pip\",\"install\",\"poetry\"]", NULL, "pip"},
                {"[\"python\",\"-u\",\"-W\",\"ignore\",\"/x/poetry\"]", NULL, "poetry"},
                {"[\"python\",\"-c\",\"import pip\",\"poetry\"]", NULL, "-"},
                {"[\"/usr/bin/env\",\"A=b\",\"python3\",\"/x/pip3.11\"]", NULL, "pip"},
                {"[\"node\",\"/usr/share/nodejs/npm/bin/npm-cli.js\",\"ci\"]", NULL, "npm"},
                {"[\"node\",\"/p/.yarn/releases/yarn-4.1.0.cjs\"]", NULL, "yarn-berry"},
                {"[\"sh\",\"/usr/bin/mvn\",\"package\"]", NULL, "maven"},
                {"[\"argv0-is-free\"]", "/usr/bin/cargo", "cargo"},
                {"[\"gcc\",\"-c\",\"npm\"]", "/usr/bin/gcc", "-"},
                {"[]", NULL, "-"},
                {"[5,null]", NULL, "-"},
                {"{}", NULL, "-"},
        };
        struct tools tools;

        (void)state;
        assert_int_equal(tools_init(&tools, shipped, NULL), 0);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_string_equal(tool_of(&tools, cases[i].argv, cases[i].exe), cases[i].tool);
        tools_fini(&tools);
}

static void a_path_has_its_cache(void **state)
{
        static const struct {
                const char *path, *tool;
        } cases[] = {
                {"/c/pypoetry/cache/x", "poetry"},
                {"/c/pypoetry", "poetry"},
                {"/c/pypoetryx", "-"},
                {"/home/u/.cache/pypoetry", "-"}, /* XDG_CACHE_HOME says otherwise */
                {"/home/u/.npm/_cacache/x", "npm"},
                {"/some dir/rel/x", "uv"},
                {"/m2/x", "maven"},
                {"/home/u", "-"},
                {"/home/u/project/x", "-"},
                {"/etc/shadow", "-"},
        };
        json_t *start =
                json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s, s:i}}", "cwd", "/some dir",
                          "environment", "HOME", "/home/u/", "XDG_CACHE_HOME", "/c/./",
                          "UV_CACHE_DIR", "rel//", "MAVEN_OPTS", "-Xmx1g -Dmaven.repo.local=/m2 -x",
                          "CARGO_HOME", "/home/u", "GOPATH", 5);
        struct tools tools;

        (void)state;
        assert_int_equal(tools_init(&tools, shipped, start), 0);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                const struct tool_root *root = tools_root_of(&tools, NULL, cases[i].path);

                assert_string_equal(root != NULL ? root->tool->name : "-", cases[i].tool);
        }
        assert_non_null(tools_root_below(&tools, tool_named(shipped, "poetry"), "/c"));
        assert_null(tools_root_below(&tools, tool_named(shipped, "poetry"), "/home/u/.cache"));
        assert_int_equal(tools_cache_like_len(&tools, "/srv/cache/x"), strlen("/srv/cache"));
        assert_int_equal(tools_cache_like_len(&tools, "/srv/__pycache__/x"), 0);
        assert_int_equal(tools_cache_like_len(&tools, "/c/other/cache/x"), 0);
        tools_fini(&tools);
        json_decref(start);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_promised_tools_are_there),
                cmocka_unit_test(variables_of_paths_are_recorded),
                cmocka_unit_test(a_user_adds_and_overrides),
                cmocka_unit_test(mistakes_are_named),
                cmocka_unit_test(files_that_are_not_there),
                cmocka_unit_test(an_argv_names_its_tool),
                cmocka_unit_test(a_path_has_its_cache),
        };

        return cmocka_run_group_tests_name("catalogue", tests, load_shipped, free_shipped);
}
