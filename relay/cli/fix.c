/* See fix.h. */
#include "cli/fix.h"
#include "cli/caches.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ours, a directory, and closed to others: not one that somebody else has put there. */
static bool is_private(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
               (st.st_mode & 022) == 0;
}

/* The name that the remedy in a report would use, so that both find what the other has kept. Caller
 * owns; NULL if nothing can be kept below parent. */
static char *make_in(const char *parent, const char *name)
{
        struct probe probe = {0};
        char *path = NULL;

        if (asprintf(&path, "%s/%s-%u", parent, name, (unsigned)geteuid()) < 0)
                return NULL;
        if (mkdir(path, 0700) < 0 && (errno != EEXIST || !is_private(path))) {
                free(path);
                if (asprintf(&path, "%s/%s-XXXXXX", parent, name) < 0)
                        return NULL;
                if (mkdtemp(path) == NULL)
                        path[0] = '\0';
        }
        if (path[0] != '\0' && probe_directory(path, NULL, &probe) == 0)
                return path;
        if (path[0] != '\0')
                rmdir(path); /* if it is empty: what it was kept for is not possible there */
        free(path);
        return NULL;
}

static char *make_somewhere(const char *name)
{
        const char *temp = getenv("TMPDIR");
        const char *parents[] = {temp != NULL && temp[0] == '/' ? temp : "/tmp", "/tmp", "/var/tmp",
                                 "/dev/shm"};
        char *path = NULL;

        for (size_t i = 0; path == NULL && i < sizeof parents / sizeof *parents; i++)
                path = make_in(parents[i], name);
        return path;
}

/* Of the tool's caches, as remedy.c numbers them: those that have to be moved. */
static char *name_of(const struct cache_place *place, size_t moved)
{
        char *name;
        int n = moved == 0 ? asprintf(&name, "%s-cache", place->tool->name)
                           : asprintf(&name, "%s-cache%zu", place->tool->name, moved + 1);

        return n >= 0 ? name : NULL;
}

static void set(struct childenv *env, const struct catalogue_cache *cache, const char *path)
{
        const char *old = getenv(cache->variable);
        char *value = NULL;

        if (cache->option == NULL)
                childenv_set(env, cache->variable, path);
        else if (asprintf(&value, "%s%s%s%s", old != NULL ? old : "",
                          old != NULL && *old != '\0' ? " " : "", cache->option, path) >= 0)
                childenv_set(env, cache->variable, value);
        for (size_t i = 0; cache->also != NULL && cache->also[i] != NULL; i++)
                childenv_set(env, cache->also[i], path);
        free(value);
}

static void say(struct record *rec, const struct cache_place *place, const char *path)
{
        const char *option = place->cache->option != NULL ? place->cache->option : "";
        char *text;

        if (asprintf(&text,
                     "--fix: %s's cache %s cannot be used (%s: %s); for this command "
                     "%s=%s%s.",
                     place->tool->title, place->path, place->probe.path,
                     strerror(place->probe.error), place->cache->variable, option, path) < 0)
                return;
        fprintf(stderr, "tapline: %s\n", text);
        record_note(rec, NULL, 0, text);
        free(text);
}

static void cannot(const struct cache_place *place)
{
        fprintf(stderr, "tapline: --fix: %s's cache %s cannot be used (%s), and %s.\n",
                place->tool->title, place->path, strerror(place->probe.error),
                place->cache->variable == NULL ? "no variable moves it"
                                               : "there is no other place for it");
}

/* Returns true if it was moved. */
static bool move(const struct cache_place *place, size_t moved, struct childenv *env,
                 struct record *rec)
{
        char *name = place->cache->variable != NULL ? name_of(place, moved) : NULL;
        char *path = name != NULL ? make_somewhere(name) : NULL;
        bool done = path != NULL;

        if (path != NULL) {
                set(env, place->cache, path);
                say(rec, place, path);
        } else {
                cannot(place);
        }
        free(name);
        free(path);
        return done;
}

int fix_caches(const struct catalogue *catalogue, char *const command[], struct childenv *env,
               struct record *rec)
{
        struct caches caches;
        size_t moved = 0;
        int result = caches_look(&caches, catalogue, command);

        for (size_t i = 0; i < caches.count; i++) {
                const struct cache_place *place = &caches.places[i];

                if (i > 0 && place[-1].tool != place->tool)
                        moved = 0;
                if (caches_is_fatal(place))
                        moved += move(place, moved, env, rec);
        }
        caches_fini(&caches);
        record_flush(rec);
        return result;
}
