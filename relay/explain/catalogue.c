/* Loads the catalogue of package managers: see catalogue.h. Everything is copied out of libconfig
 * into one struct per tool, so that the rules need not know where it came from. A wrong value is an
 * error with file and line; an unknown key is one too, or a typing error would go unnoticed. */
#include "explain/catalogue.h"

#include <errno.h>
#include <fnmatch.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct catalogue {
        struct catalogue_tool *tools; /* owned */
        size_t count;
};

/* Where reading is and what went wrong. */
struct loader {
        struct catalogue *cat;
        const char *path;
        char **error; /* borrowed, may be NULL */
};

static int fail(struct loader *l, int line, const char *message, const char *what)
{
        if (l->error != NULL && asprintf(l->error, "%s:%d: %s%s%s", l->path, line, message,
                                         what ? ": " : "", what ? what : "") < 0)
                *l->error = NULL;
        return -EINVAL;
}

static void free_strings(const char **list)
{
        for (size_t i = 0; list != NULL && list[i] != NULL; i++)
                free((char *)list[i]);
        free(list);
}

static void cache_fini(const struct catalogue_cache *cache)
{
        free_strings(cache->paths);
        free_strings(cache->harmless);
        free_strings(cache->also);
        free((char *)cache->variable);
        free((char *)cache->option);
}

static void claim_fini(const struct catalogue_claim *claim)
{
        free((char *)claim->says);
        free((char *)claim->blames);
}

static void tool_fini(struct catalogue_tool *tool)
{
        for (size_t i = 0; i < tool->claim_count; i++)
                claim_fini(&tool->claims[i]);
        free((struct catalogue_claim *)tool->claims);
        for (size_t i = 0; i < tool->cache_count; i++)
                cache_fini(&tool->caches[i]);
        free((struct catalogue_cache *)tool->caches);
        free_strings(tool->programs);
        free_strings(tool->variables);
        free((char *)tool->name);
        free((char *)tool->title);
        *tool = (struct catalogue_tool){0};
}

void catalogue_free(struct catalogue *cat)
{
        if (cat == NULL)
                return;
        for (size_t i = 0; i < cat->count; i++)
                tool_fini(&cat->tools[i]);
        free(cat->tools);
        free(cat);
}

/* Append a copy of text to a NULL-terminated list. */
static int add_string(const char ***list, const char *text)
{
        size_t n = 0;
        const char **grown;

        while (*list != NULL && (*list)[n] != NULL)
                n++;
        grown = reallocarray(*list, n + 2, sizeof *grown);
        if (grown == NULL)
                return -ENOMEM;
        *list = grown;
        grown[n] = strdup(text);
        grown[n + 1] = NULL;
        return grown[n] != NULL ? 0 : -ENOMEM;
}

static bool has_string(const char *const *list, const char *text)
{
        for (size_t i = 0; list != NULL && list[i] != NULL; i++)
                if (strcmp(list[i], text) == 0)
                        return true;
        return false;
}

static int read_strings(struct loader *l, const config_setting_t *s, const char ***list)
{
        int result = 0;

        if (!config_setting_is_array(s) && !config_setting_is_list(s))
                return fail(l, config_setting_source_line(s), "a list of strings is wanted",
                            config_setting_name(s));
        for (int i = 0; result == 0 && i < config_setting_length(s); i++) {
                const char *text = config_setting_get_string_elem(s, i);

                if (text == NULL || *text == '\0')
                        return fail(l, config_setting_source_line(s), "not a string",
                                    config_setting_name(s));
                result = add_string(list, text);
        }
        return result;
}

static int read_string(struct loader *l, const config_setting_t *s, const char **out)
{
        const char *text = config_setting_get_string(s);

        if (text == NULL || *text == '\0')
                return fail(l, config_setting_source_line(s), "a string is wanted",
                            config_setting_name(s));
        *out = strdup(text);
        return *out != NULL ? 0 : -ENOMEM;
}

static int read_bool(struct loader *l, const config_setting_t *s, bool *out)
{
        if (config_setting_type(s) != CONFIG_TYPE_BOOL)
                return fail(l, config_setting_source_line(s), "true or false is wanted",
                            config_setting_name(s));
        *out = config_setting_get_bool(s) != 0;
        return 0;
}

static int read_cache_key(struct loader *l, const config_setting_t *s,
                          struct catalogue_cache *cache)
{
        const char *key = config_setting_name(s);

        if (strcmp(key, "paths") == 0)
                return read_strings(l, s, &cache->paths);
        if (strcmp(key, "variable") == 0)
                return read_string(l, s, &cache->variable);
        if (strcmp(key, "also") == 0)
                return read_strings(l, s, &cache->also);
        if (strcmp(key, "option") == 0)
                return read_string(l, s, &cache->option);
        if (strcmp(key, "harmless") == 0)
                return read_strings(l, s, &cache->harmless);
        if (strcmp(key, "optional") == 0)
                return read_bool(l, s, &cache->optional);
        return fail(l, config_setting_source_line(s), "unknown key", key);
}

static int add_variable(struct catalogue_tool *tool, const char *name)
{
        return has_string(tool->variables, name) ? 0 : add_string(&tool->variables, name);
}

/* "$NAME/rest": the record must tell what NAME was. */
static int add_path_variables(struct catalogue_tool *tool, const struct catalogue_cache *cache)
{
        int result = 0;

        for (size_t i = 0; result == 0 && cache->paths != NULL && cache->paths[i] != NULL; i++) {
                const char *path = cache->paths[i];
                char *name;

                if (path[0] != '$')
                        continue;
                name = strndup(path + 1, strcspn(path + 1, "/"));
                result = name != NULL ? add_variable(tool, name) : -ENOMEM;
                free(name);
        }
        return result;
}

/* A variable that names the directory is itself one of its paths. */
static int add_own_path(struct catalogue_tool *tool, struct catalogue_cache *cache,
                        const char *variable)
{
        int result = add_variable(tool, variable);
        char *path = NULL;

        if (result == 0 && cache->option == NULL) {
                result = asprintf(&path, "$%s", variable) < 0 ? -ENOMEM : 0;
                result = result == 0 ? add_string(&cache->paths, path) : result;
                free(path);
        }
        return result;
}

static int finish_cache(struct catalogue_tool *tool, struct catalogue_cache *cache)
{
        int result = 0;

        for (size_t i = 0; result == 0 && cache->also != NULL && cache->also[i] != NULL; i++)
                result = add_own_path(tool, cache, cache->also[i]);
        if (result == 0 && cache->variable != NULL)
                result = add_own_path(tool, cache, cache->variable);
        return result == 0 ? add_path_variables(tool, cache) : result;
}

static int read_cache(struct loader *l, const config_setting_t *s, struct catalogue_tool *tool,
                      struct catalogue_cache *cache)
{
        int result = 0;

        if (!config_setting_is_group(s))
                return fail(l, config_setting_source_line(s), "a cache is a group { ... }", NULL);
        for (int i = 0; result == 0 && i < config_setting_length(s); i++)
                result = read_cache_key(l, config_setting_get_elem(s, (unsigned)i), cache);
        return result == 0 ? finish_cache(tool, cache) : result;
}

static int read_caches(struct loader *l, const config_setting_t *s, struct catalogue_tool *tool)
{
        int count = config_setting_length(s), result = 0;
        struct catalogue_cache *caches;

        if (!config_setting_is_list(s))
                return fail(l, config_setting_source_line(s), "caches is a list ( { ... } )", NULL);
        caches = calloc((size_t)count + 1, sizeof *caches);
        if (caches == NULL)
                return -ENOMEM;
        tool->caches = caches;
        tool->cache_count = (size_t)count;
        for (int i = 0; result == 0 && i < count; i++)
                result = read_cache(l, config_setting_get_elem(s, (unsigned)i), tool, &caches[i]);
        return result;
}

static int read_claim(struct loader *l, const config_setting_t *s, struct catalogue_claim *claim)
{
        int result = 0;

        if (!config_setting_is_group(s))
                return fail(l, config_setting_source_line(s), "a claim is a group { ... }", NULL);
        for (int i = 0; result == 0 && i < config_setting_length(s); i++) {
                const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);
                const char *key = config_setting_name(member);

                if (strcmp(key, "says") == 0)
                        result = read_string(l, member, &claim->says);
                else if (strcmp(key, "blames") == 0)
                        result = read_string(l, member, &claim->blames);
                else
                        result = fail(l, config_setting_source_line(member), "unknown key", key);
        }
        if (result == 0 && (claim->says == NULL || claim->blames == NULL))
                result = fail(l, config_setting_source_line(s), "a claim says and blames something",
                              NULL);
        return result;
}

static int read_claims(struct loader *l, const config_setting_t *s, struct catalogue_tool *tool)
{
        int count = config_setting_length(s), result = 0;
        struct catalogue_claim *claims;

        if (!config_setting_is_list(s))
                return fail(l, config_setting_source_line(s), "claims is a list ( { ... } )", NULL);
        claims = calloc((size_t)count + 1, sizeof *claims);
        if (claims == NULL)
                return -ENOMEM;
        tool->claims = claims;
        tool->claim_count = (size_t)count;
        for (int i = 0; result == 0 && i < count; i++)
                result = read_claim(l, config_setting_get_elem(s, (unsigned)i), &claims[i]);
        return result;
}

static int read_tool_key(struct loader *l, const config_setting_t *s, struct catalogue_tool *tool)
{
        const char *key = config_setting_name(s);

        if (strcmp(key, "name") == 0)
                return read_string(l, s, &tool->name);
        if (strcmp(key, "title") == 0)
                return read_string(l, s, &tool->title);
        if (strcmp(key, "programs") == 0)
                return read_strings(l, s, &tool->programs);
        if (strcmp(key, "records") == 0)
                return read_strings(l, s, &tool->variables);
        if (strcmp(key, "caches") == 0)
                return tool->caches == NULL ? read_caches(l, s, tool) : 0;
        if (strcmp(key, "claims") == 0)
                return tool->claims == NULL ? read_claims(l, s, tool) : 0;
        return fail(l, config_setting_source_line(s), "unknown key", key);
}

static int finish_tool(struct loader *l, const config_setting_t *s, struct catalogue_tool *tool)
{
        if (tool->name == NULL)
                return fail(l, config_setting_source_line(s), "a tool has no name", NULL);
        if (tool->programs == NULL)
                return fail(l, config_setting_source_line(s), "no programs are named for",
                            tool->name);
        if (tool->title == NULL)
                tool->title = strdup(tool->name);
        return tool->title != NULL ? 0 : -ENOMEM;
}

/* Put tool into the catalogue, in the place of one with its name. Takes what tool owns. */
static int place_tool(struct catalogue *cat, struct catalogue_tool *tool)
{
        struct catalogue_tool *grown;

        for (size_t i = 0; i < cat->count; i++) {
                if (strcmp(cat->tools[i].name, tool->name) != 0)
                        continue;
                tool_fini(&cat->tools[i]);
                cat->tools[i] = *tool;
                return 0;
        }
        grown = reallocarray(cat->tools, cat->count + 1, sizeof *grown);
        if (grown == NULL)
                return -ENOMEM;
        cat->tools = grown;
        cat->tools[cat->count++] = *tool;
        return 0;
}

static int read_tool(struct loader *l, const config_setting_t *s)
{
        struct catalogue_tool tool = {0};
        int result = 0;

        if (!config_setting_is_group(s))
                return fail(l, config_setting_source_line(s), "a tool is a group { ... }", NULL);
        for (int i = 0; result == 0 && i < config_setting_length(s); i++)
                result = read_tool_key(l, config_setting_get_elem(s, (unsigned)i), &tool);
        if (result == 0)
                result = finish_tool(l, s, &tool);
        if (result == 0)
                result = place_tool(l->cat, &tool);
        if (result < 0)
                tool_fini(&tool);
        return result;
}

static int read_tools(struct loader *l, const config_t *config)
{
        const config_setting_t *tools = config_lookup(config, "tools");
        int result = 0;

        if (tools == NULL || !config_setting_is_list(tools))
                return fail(l, 1, "no list \"tools = ( ... );\"", NULL);
        for (int i = 0; result == 0 && i < config_setting_length(tools); i++)
                result = read_tool(l, config_setting_get_elem(tools, (unsigned)i));
        return result;
}

static int load_file(struct catalogue *cat, const char *path, char **error)
{
        struct loader l = {.cat = cat, .path = path, .error = error};
        FILE *file = fopen(path, "re");
        config_t config;
        int result;

        if (file == NULL)
                return -errno;
        config_init(&config);
        if (config_read(&config, file) == CONFIG_TRUE)
                result = read_tools(&l, &config);
        else
                result = fail(&l, config_error_line(&config), config_error_text(&config), NULL);
        config_destroy(&config);
        fclose(file);
        return result;
}

int catalogue_load(struct catalogue **out, const char *path, const char *user_path, char **error)
{
        struct catalogue *cat = calloc(1, sizeof *cat);
        int result = cat != NULL ? 0 : -ENOMEM;

        if (error != NULL)
                *error = NULL;
        if (result == 0)
                result = load_file(cat, path, error);
        if (result == 0 && user_path != NULL && access(user_path, F_OK) == 0)
                result = load_file(cat, user_path, error);
        if (result < 0) {
                catalogue_free(cat);
                cat = NULL;
        }
        *out = cat;
        return result;
}

size_t catalogue_count(const struct catalogue *cat)
{
        return cat != NULL ? cat->count : 0;
}

const struct catalogue_tool *catalogue_get(const struct catalogue *cat, size_t i)
{
        return &cat->tools[i];
}

const struct catalogue_tool *catalogue_find_program(const struct catalogue *cat, const char *base)
{
        for (size_t i = 0; i < catalogue_count(cat); i++) {
                const char **programs = cat->tools[i].programs;

                for (; *programs != NULL; programs++)
                        if (fnmatch(*programs, base, 0) == 0)
                                return &cat->tools[i];
        }
        return NULL;
}
