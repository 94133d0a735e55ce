/* Which package manager is at work, and whose cache a path lies in: see tools.h. */
#include "explain/tools.h"
#include "explain/text.h"
#include "record/reader.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* Programs that run a script or module named in their arguments, and their options that take a
 * value as the next argument. */
static const struct {
        const char *pattern, *with_value;
} interpreters[] = {
        {"python*", "WX"}, {"pypy*", "WX"}, {"node", "r"},    {"nodejs", "r"}, {"ruby*", "rIC"},
        {"php*", "dc"},    {"perl*", "I"},  {"sh", "o"},      {"bash", "oO"},  {"dash", "o"},
        {"env", "uCS"},    {"nice", "n"},   {"sudo", "ugCD"},
};

/* Defaults of the XDG base directory specification. */
static const struct {
        const char *name, *fallback;
} defaults[] = {
        {"XDG_CACHE_HOME", ".cache"},
        {"XDG_DATA_HOME", ".local/share"},
        {"XDG_CONFIG_HOME", ".config"},
};

static const char *const cache_names[] = {"cache", ".cache", "_cacache", "caches", "Cache"};

/* What paths are expanded with. */
struct place {
        const json_t *environment, *start;
        const char *home;
};

/* Collapse "//", "/./" and a slash at the end, in place. */
static void tidy_path(char *path)
{
        char *to = path;

        for (const char *from = path; *from != '\0';) {
                if (from[0] == '/' && from[1] == '/')
                        from++;
                else if (from[0] == '/' && from[1] == '.' && (from[2] == '/' || from[2] == '\0'))
                        from += 2;
                else
                        *to++ = *from++;
        }
        while (to > path + 1 && to[-1] == '/')
                to--;
        *to = '\0';
}

/* value/rest as an absolute path, or NULL. */
static char *join(const struct place *place, const char *value, const char *rest)
{
        const char *cwd = event_get_str(place->start, "cwd");
        char *path;

        if (value == NULL || *value == '\0' || (*value != '/' && cwd == NULL))
                return NULL;
        path = *value == '/' ? text_format("%s/%s", value, rest)
                             : text_format("%s/%s/%s", cwd, value, rest);
        if (path != NULL)
                tidy_path(path);
        return path;
}

static char *expand_variable(const struct place *place, const char *name, const char *rest)
{
        const char *value = event_get_str(place->environment, name);

        for (size_t i = 0; value == NULL && i < sizeof defaults / sizeof defaults[0]; i++) {
                char *base, *path;

                if (strcmp(defaults[i].name, name) != 0 || place->home == NULL)
                        continue;
                base = text_format("%s/%s", place->home, defaults[i].fallback);
                path = join(place, base, rest);
                free(base);
                return path;
        }
        return join(place, value, rest);
}

/* "~/x", "$NAME/x" or "/x" as a path, or NULL if it has no meaning in this run. */
static char *expand(const struct place *place, const char *path)
{
        char *name, *expanded;
        size_t len;

        if (strncmp(path, "~/", 2) == 0)
                return join(place, place->home, path + 2);
        if (path[0] != '$')
                return join(place, path, "");
        len = strcspn(path + 1, "/");
        name = strndup(path + 1, len);
        if (name == NULL)
                return NULL;
        path += 1 + len;
        expanded = expand_variable(place, name, *path == '/' ? path + 1 : path);
        free(name);
        return expanded;
}

/* A variable that says "/" or the home directory would make everything a cache. */
static bool is_too_wide(const struct place *place, const char *path)
{
        char *home = join(place, place->home, "");
        bool wide = strcmp(path, "/") == 0 || (home != NULL && text_is_below(home, path));

        free(home);
        return wide;
}

static int add_root(struct tools *tools, const struct place *place, const char *path,
                    const struct catalogue_tool *tool, const struct catalogue_cache *cache)
{
        char *expanded = expand(place, path);
        struct tool_root *grown;

        if (expanded == NULL || is_too_wide(place, expanded)) {
                free(expanded);
                return 0;
        }
        grown = reallocarray(tools->roots, tools->root_count + 1, sizeof *grown);
        if (grown == NULL) {
                free(expanded);
                return -ENOMEM;
        }
        tools->roots = grown;
        grown[tools->root_count++] = (struct tool_root){expanded, tool, cache};
        return 0;
}

/* The directory in an options variable: "-Xmx1g -Dmaven.repo.local=/x". */
static int add_option_root(struct tools *tools, const struct place *place,
                           const struct catalogue_tool *tool, const struct catalogue_cache *cache)
{
        const char *value = event_get_str(place->environment, cache->variable);
        const char *at = value != NULL ? strstr(value, cache->option) : NULL;
        char *path;
        int result;

        if (at == NULL)
                return 0;
        at += strlen(cache->option);
        path = strndup(at, strcspn(at, " \t"));
        result = path == NULL   ? -ENOMEM
                 : *path == '/' ? add_root(tools, place, path, tool, cache)
                                : 0;
        free(path);
        return result;
}

static int add_tool_roots(struct tools *tools, const struct place *place,
                          const struct catalogue_tool *tool)
{
        int result = 0;

        for (size_t i = 0; result == 0 && i < tool->cache_count; i++) {
                const struct catalogue_cache *cache = &tool->caches[i];
                const char **path = cache->paths;

                if (cache->variable != NULL && cache->option != NULL)
                        result = add_option_root(tools, place, tool, cache);
                for (; result == 0 && path != NULL && *path != NULL; path++)
                        result = add_root(tools, place, *path, tool, cache);
        }
        return result;
}

int tools_init(struct tools *tools, const struct catalogue *catalogue, const json_t *start)
{
        struct place place = {.start = start, .environment = json_object_get(start, "environment")};
        int result = 0;

        *tools = (struct tools){.catalogue = catalogue};
        place.home = event_get_str(place.environment, "HOME");
        if (place.home == NULL)
                place.home = event_get_str(start, "home");
        tools->shared = expand(&place, "$XDG_CACHE_HOME");
        tools->home = join(&place, place.home, "");
        tools->temp = join(&place, event_get_str(place.environment, "TMPDIR"), "");
        if (tools->temp == NULL)
                tools->temp = strdup("/tmp");
        for (size_t i = 0; result == 0 && i < catalogue_count(catalogue); i++)
                result = add_tool_roots(tools, &place, catalogue_get(catalogue, i));
        if (result < 0)
                tools_fini(tools);
        return result;
}

void tools_fini(struct tools *tools)
{
        for (size_t i = 0; i < tools->root_count; i++)
                free(tools->roots[i].path);
        free(tools->roots);
        free(tools->shared);
        free(tools->home);
        free(tools->temp);
        *tools = (struct tools){0};
}

static const char *options_with_value(const char *base)
{
        for (size_t i = 0; i < sizeof interpreters / sizeof interpreters[0]; i++)
                if (fnmatch(interpreters[i].pattern, base, 0) == 0)
                        return interpreters[i].with_value;
        return NULL;
}

static const char *argument(const json_t *argv, size_t i)
{
        return json_string_value(json_array_get(argv, i));
}

/* Index of the script, module or program that the interpreter at argv[at] runs. 0: none. */
static size_t script_index(const json_t *argv, size_t at, const char *with_value)
{
        for (size_t i = at + 1; i < json_array_size(argv); i++) {
                const char *arg = argument(argv, i);

                if (arg == NULL || strcmp(arg, "-c") == 0 || strcmp(arg, "-e") == 0)
                        return 0;
                if (strcmp(arg, "-m") == 0)
                        return i + 1;
                if (arg[0] == '-' && arg[1] != '\0' && arg[2] == '\0' &&
                    strchr(with_value, arg[1]) != NULL)
                        i++;
                else if (arg[0] != '-' && strchr(arg, '=') == NULL)
                        return i;
        }
        return 0;
}

const struct catalogue_tool *tools_of_argv(const struct tools *tools, const json_t *argv,
                                           const char *exe)
{
        const struct catalogue_tool *tool = NULL;
        const char *word = argument(argv, 0);

        word = word != NULL ? word : exe;
        /* "sudo env X=1 python script": three hops are more than anybody writes by hand. */
        for (size_t at = 0, hop = 0; tool == NULL && word != NULL && hop < 6; hop++) {
                const char *with_value = options_with_value(text_base(word));

                tool = catalogue_find_program(tools->catalogue, text_base(word));
                at = tool == NULL && with_value != NULL ? script_index(argv, at, with_value) : 0;
                word = at > 0 ? argument(argv, at) : NULL;
        }
        if (tool == NULL && exe != NULL)
                tool = catalogue_find_program(tools->catalogue, text_base(exe));
        return tool;
}

const struct tool_root *tools_root_of(const struct tools *tools, const struct catalogue_tool *tool,
                                      const char *path)
{
        const struct tool_root *best = NULL;

        for (size_t i = 0; i < tools->root_count; i++) {
                const struct tool_root *root = &tools->roots[i];
                bool mine = root->tool == tool;

                if (!text_is_below(path, root->path))
                        continue;
                if (best == NULL || (mine && best->tool != tool) ||
                    (mine == (best->tool == tool) && strlen(root->path) > strlen(best->path)))
                        best = root;
        }
        return best;
}

const struct tool_root *tools_root_below(const struct tools *tools,
                                         const struct catalogue_tool *tool, const char *path)
{
        for (size_t i = 0; tool != NULL && i < tools->root_count; i++)
                if (tools->roots[i].tool == tool && text_is_below(tools->roots[i].path, path))
                        return &tools->roots[i];
        return NULL;
}

size_t tools_cache_like_len(const struct tools *tools, const char *path)
{
        if (tools->shared != NULL && text_is_below(path, tools->shared))
                return 0;
        for (const char *c = path; (c = strchr(c, '/')) != NULL;) {
                size_t len = strcspn(++c, "/");

                for (size_t i = 0; i < sizeof cache_names / sizeof cache_names[0]; i++)
                        if (strlen(cache_names[i]) == len && strncmp(c, cache_names[i], len) == 0)
                                return (size_t)(c - path) + len;
        }
        return 0;
}

bool tools_is_in_home(const struct tools *tools, const char *path)
{
        return tools->home != NULL &&
               (text_is_below(path, tools->home) || text_is_below(tools->home, path));
}

bool tools_is_temporary(const struct tools *tools, const char *path)
{
        bool home_inside = tools->home != NULL && tools->temp != NULL &&
                           text_is_below(tools->home, tools->temp);

        return tools->temp != NULL && text_is_below(path, tools->temp) &&
               !(home_inside && text_is_below(path, tools->home));
}

bool tools_is_harmless(const struct tool_root *root, const char *path)
{
        const char **name = root->cache->harmless;
        size_t root_len = strlen(root->path);

        if (path[root_len] != '/')
                return false;
        path += root_len + 1;
        for (; name != NULL && *name != NULL; name++)
                if (text_is_below(path, *name))
                        return true;
        return false;
}
