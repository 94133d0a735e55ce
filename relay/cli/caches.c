/* See caches.h. */
#include "cli/caches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static json_t *environment(void)
{
        json_t *object = json_object();

        for (char **e = environ; object != NULL && e != NULL && *e != NULL; e++) {
                const char *equals = strchr(*e, '=');
                char *name = equals != NULL ? strndup(*e, (size_t)(equals - *e)) : NULL;

                /* What is no UTF-8 names no directory that the catalogue could mean. */
                if (name != NULL)
                        json_object_set_new(object, name, json_string(equals + 1));
                free(name);
        }
        return object;
}

static json_t *words(char *const command[])
{
        json_t *array = json_array();

        for (; array != NULL && command != NULL && *command != NULL; command++)
                json_array_append_new(array, json_string(*command));
        return array;
}

static json_t *make_start(char *const command[])
{
        char stamp[40], cwd[PATH_MAX];
        time_t now = time(NULL);
        struct tm tm;

        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S.000000Z", gmtime_r(&now, &tm));
        return json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:s, s:i, s:i, s:s?, s:o}", "time", stamp,
                         "event", "run.start", "schema", 1, "version", "", "mode", "run", "command",
                         words(command), "cwd", getcwd(cwd, sizeof cwd) != NULL ? cwd : "/", "uid",
                         (int)geteuid(), "gid", (int)getegid(), "home", getenv("HOME"),
                         "environment", environment());
}

static bool is_on_path(const char *name)
{
        const char *path = getenv("PATH");
        char full[PATH_MAX];

        for (const char *at = path; at != NULL && *at != '\0'; at += strspn(at, ":")) {
                size_t len = strcspn(at, ":");

                if (len > 0 && len + strlen(name) + 2 <= sizeof full) {
                        memcpy(full, at, len);
                        full[len] = '/';
                        strcpy(full + len + 1, name);
                        if (access(full, X_OK) == 0)
                                return true;
                }
                at += len;
        }
        return false;
}

/* Patterns are other spellings of a name that is there too. */
static bool is_installed(const struct catalogue_tool *tool)
{
        for (const char **program = tool->programs; *program != NULL; program++)
                if (strpbrk(*program, "*?[") == NULL && is_on_path(*program))
                        return true;
        return false;
}

static int add_tool(struct caches *out, const struct catalogue_tool *tool)
{
        const struct catalogue_tool **grown =
                reallocarray(out->tools, out->tool_count + 1, sizeof *grown);

        if (grown == NULL)
                return -ENOMEM;
        out->tools = grown;
        grown[out->tool_count++] = tool;
        return 0;
}

static int choose_tools(struct caches *out, const struct tools *tools,
                        const struct catalogue *catalogue, char *const command[])
{
        const struct catalogue_tool *tool =
                command != NULL ? tools_of_argv(tools, json_object_get(out->start, "command"), NULL)
                                : NULL;
        int result = 0;

        if (tool != NULL)
                return add_tool(out, tool);
        for (size_t i = 0; result == 0 && i < catalogue_count(catalogue); i++)
                if (is_installed(catalogue_get(catalogue, i)))
                        result = add_tool(out, catalogue_get(catalogue, i));
        return result;
}

static bool is_set(const char *name)
{
        const char *value = name != NULL ? getenv(name) : NULL;

        return value != NULL && *value != '\0';
}

static bool is_moved(const struct catalogue_cache *cache)
{
        for (size_t i = 0; cache->also != NULL && cache->also[i] != NULL; i++)
                if (is_set(cache->also[i]))
                        return true;
        return is_set(cache->variable);
}

/* Of the places where a cache may be, the one where it will be: where its variable says (tools.c
 * has that one last, but for an option, which comes first), else the first that is there already,
 * else the first. */
static const struct tool_root *choose_root(const struct tools *tools,
                                           const struct catalogue_cache *cache)
{
        const struct tool_root *first = NULL, *there = NULL, *last = NULL;

        for (size_t i = 0; i < tools->root_count; i++) {
                const struct tool_root *root = &tools->roots[i];

                if (root->cache != cache)
                        continue;
                first = first != NULL ? first : root;
                there = there == NULL && access(root->path, F_OK) == 0 ? root : there;
                last = root;
        }
        if (is_moved(cache))
                return cache->option == NULL ? last : first;
        return there != NULL ? there : first;
}

static int add_place(struct caches *out, const struct tool_root *root)
{
        struct cache_place *grown = reallocarray(out->places, out->count + 1, sizeof *grown);
        char *path = strdup(root->path);

        if (grown != NULL)
                out->places = grown;
        if (grown == NULL || path == NULL) {
                free(path);
                return -ENOMEM;
        }
        grown[out->count] = (struct cache_place){root->tool, root->cache, path, {0}};
        probe_directory(path, root->cache->harmless, &grown[out->count++].probe);
        return 0;
}

static int add_places(struct caches *out, const struct tools *tools,
                      const struct catalogue_tool *tool)
{
        int result = 0;

        for (size_t i = 0; result == 0 && i < tool->cache_count; i++) {
                const struct tool_root *root = choose_root(tools, &tool->caches[i]);

                if (root != NULL)
                        result = add_place(out, root);
        }
        return result;
}

int caches_look(struct caches *out, const struct catalogue *catalogue, char *const command[])
{
        struct tools tools = {0};
        int result;

        *out = (struct caches){.start = make_start(command)};
        result = out->start != NULL ? tools_init(&tools, catalogue, out->start) : -ENOMEM;
        if (result == 0)
                result = choose_tools(out, &tools, catalogue, command);
        for (size_t i = 0; result == 0 && i < out->tool_count; i++)
                result = add_places(out, &tools, out->tools[i]);
        tools_fini(&tools);
        if (result < 0)
                caches_fini(out);
        return result;
}

void caches_fini(struct caches *caches)
{
        for (size_t i = 0; i < caches->count; i++)
                free(caches->places[i].path);
        free(caches->places);
        free(caches->tools);
        json_decref(caches->start);
        *caches = (struct caches){0};
}

bool caches_is_fatal(const struct cache_place *place)
{
        return place->probe.error != 0 && !place->cache->optional;
}
