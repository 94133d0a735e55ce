/* The environment of the command; see childenv.h. */
#include "cli/childenv.h"
#include "tapline_names.h"
#include "tapline_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct childenv {
        char **list; /* owned, and each string */
        size_t count;
        bool failed;
};

static void append(struct childenv *env, char *entry)
{
        char **more = entry != NULL ? realloc(env->list, (env->count + 2) * sizeof *more) : NULL;

        if (more == NULL) {
                free(entry);
                env->failed = true;
                return;
        }
        env->list = more;
        more[env->count++] = entry;
        more[env->count] = NULL;
}

struct childenv *childenv_new(void)
{
        struct childenv *env = calloc(1, sizeof *env);

        for (char **e = environ; env != NULL && e != NULL && *e != NULL; e++)
                append(env, strdup(*e));
        return env;
}

void childenv_free(struct childenv *env)
{
        if (env == NULL)
                return;
        for (size_t i = 0; i < env->count; i++)
                free(env->list[i]);
        free(env->list);
        free(env);
}

/* Index of a variable, or count. */
static size_t find(const struct childenv *env, const char *name)
{
        size_t len = strlen(name), i = 0;

        while (i < env->count &&
               (strncmp(env->list[i], name, len) != 0 || env->list[i][len] != '='))
                i++;
        return i;
}

static const char *get(const struct childenv *env, const char *name)
{
        size_t i = find(env, name);

        return i < env->count ? env->list[i] + strlen(name) + 1 : NULL;
}

void childenv_set(void *ctx, const char *name, const char *value)
{
        struct childenv *env = ctx;
        size_t i = find(env, name);
        char *entry;

        if (asprintf(&entry, "%s=%s", name, value) < 0) {
                env->failed = true;
                return;
        }
        if (i == env->count) {
                append(env, entry);
                return;
        }
        free(env->list[i]);
        env->list[i] = entry;
}

void childenv_set_kept(void *ctx, const char *name, const char *value)
{
        struct childenv *env = ctx;
        const char *names = get(env, TAPLINE_ENV_KEEP);
        char *longer;

        childenv_set(env, name, value);
        if (asprintf(&longer, "%s%s%s", names != NULL ? names : "", names != NULL ? ":" : "",
                     name) < 0) {
                env->failed = true;
                return;
        }
        childenv_set(env, TAPLINE_ENV_KEEP, longer);
        free(longer);
}

/* Is this item of LD_PRELOAD a library of ours, of whatever build? */
static bool is_library(const char *item)
{
        const char *slash = strrchr(item, '/');

        return strcmp(slash != NULL ? slash + 1 : item, TAPLINE_LIB_NAME) == 0;
}

static void unset(struct childenv *env, const char *name)
{
        size_t i = find(env, name);

        if (i == env->count)
                return;
        free(env->list[i]);
        memmove(env->list + i, env->list + i + 1, (env->count - i) * sizeof *env->list);
        env->count--;
}

/* The runtime of AddressSanitizer has to stay the first. */
static bool has_asan(const char *list)
{
        if (list == NULL)
                return false;
        for (const char *at = list; (at = strstr(at, "lib")) != NULL; at++)
                if ((at == list || strchr("/: ", at[-1]) != NULL) && program_is_asan(at))
                        return true;
        return false;
}

/* Set LD_PRELOAD to first, which may be NULL, and what it has but for libraries of ours; to first
 * at the end behind the runtime of AddressSanitizer. */
static void set_preload(struct childenv *env, const char *first)
{
        const char *old = get(env, "LD_PRELOAD");
        char *rest = strdup(old != NULL ? old : ""), *at = rest, *item;
        char *value = rest != NULL ? malloc((first != NULL ? strlen(first) : 0) + strlen(rest) + 2)
                                   : NULL;
        bool last = first != NULL && has_asan(old);
        char *end;

        if (value == NULL) {
                free(rest);
                env->failed = true;
                return;
        }
        end = stpcpy(value, first != NULL && !last ? first : "");
        while ((item = strsep(&at, ": ")) != NULL)
                if (*item != '\0' && !is_library(item))
                        end = stpcpy(end != value ? stpcpy(end, ":") : end, item);
        if (last)
                stpcpy(stpcpy(end, ":"), first);
        if (*value != '\0')
                childenv_set(env, "LD_PRELOAD", value);
        else
                unset(env, "LD_PRELOAD");
        free(value);
        free(rest);
}

void childenv_preload(struct childenv *env, const char *library)
{
        set_preload(env, library);
}

void childenv_withhold(struct childenv *env)
{
        set_preload(env, NULL);
}

void childenv_take_over_proxies(struct childenv *env, uint16_t port)
{
        static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "http_proxy",
                                            "HTTP_PROXY",  "all_proxy",   "ALL_PROXY"};
        char url[40];

        snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                const char *value = get(env, names[i]);

                if (value != NULL && value[0] != '\0')
                        childenv_set(env, names[i], url);
        }
}

char **childenv_list(struct childenv *env)
{
        return env->list;
}

bool childenv_is_whole(const struct childenv *env)
{
        return !env->failed;
}
