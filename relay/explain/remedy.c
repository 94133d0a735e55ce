/* What to do about a cache that cannot be used: commands that move it to a place that can (no root
 * needed, for this shell only), and the lasting repair as advice. */
#include "explain/filefault.h"
#include "explain/temporary.h"

#include <stdlib.h>
#include <string.h>

/* Where a cache may go, in this order; the first that is not on the filesystem at fault. */
static const struct {
        const char *path, *shell;
} places[] = {
        {"/tmp", "${TMPDIR:-/tmp}"},
        {"/var/tmp", "/var/tmp"},
        {"/dev/shm", "/dev/shm"},
};

/* A path for the text of a temporary place, as a shell expands it. */
static const char *place_for(const struct facts *facts, const struct filefault *group)
{
        const char *temp = event_get_str(json_object_get(facts->start, "environment"), "TMPDIR");

        if (group->code == FINDING_TEMP_NOT_WRITABLE)
                return temporary_place(facts);
        if (group->mount == NULL)
                return places[0].shell;
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
                const char *path = i == 0 && temp != NULL ? temp : places[i].path;

                /* /tmp may or may not be a part of the root filesystem; /dev/shm never is. */
                if (strcmp(group->mount, "/") == 0 ? strcmp(path, "/dev/shm") == 0
                                                   : !text_is_below(path, group->mount))
                        return places[i].shell;
        }
        return places[0].shell;
}

/* The directory is the user's own, whoever made its name up first: another's is not taken. */
static void add_export(struct draft *d, const char *variable, const char *name, const char *place)
{
        text_add(&d->commands, "export %s=\"%s/%s-$(id -u)\"", variable, place, name);
        text_add(&d->commands,
                 "mkdir -p -m 0700 \"$%s\" && test -O \"$%s\" || export %s=\"$(mktemp -d "
                 "\"%s/%s-XXXXXX\")\"",
                 variable, variable, variable, place, name);
}

static void add_option(struct draft *d, const struct catalogue_cache *cache, const char *name,
                       const char *place)
{
        text_add(&d->commands, "export %s=\"${%s:+$%s }%s%s/%s-$(id -u)\"", cache->variable,
                 cache->variable, cache->variable, cache->option, place, name);
}

static void move_caches(struct draft *d, const struct filefault *group, const char *place)
{
        for (size_t i = 0; i < group->cache_count; i++) {
                const struct catalogue_cache *cache = group->caches[i];
                char *name =
                        text_format(i == 0 ? "%s-cache" : "%s-cache%zu", group->tool->name, i + 1);

                if (name != NULL && cache->variable != NULL && cache->option != NULL)
                        add_option(d, cache, name, place);
                else if (name != NULL && cache->variable != NULL)
                        add_export(d, cache->variable, name, place);
                for (size_t k = 0; cache->also != NULL && cache->also[k] != NULL; k++)
                        text_add(&d->commands, "export %s=\"$%s\"", cache->also[k],
                                 cache->variable);
                free(name);
        }
}

/* A cache known by its name only (a configuration file moved it): the variable outranks the file.
 */
static void move_guessed(struct draft *d, const struct filefault *group, const char *place)
{
        struct filefault guess = *group;

        if (group->cache_count > 0 || group->root_len == 0 || group->tool == NULL ||
            group->tool->cache_count == 0)
                return;
        guess.caches[0] = &group->tool->caches[0];
        guess.cache_count = 1;
        move_caches(d, &guess, place);
}

/* A full disk outside any cache: temporary files can be moved, others not. */
static void move_temporary(struct draft *d, const struct facts *facts,
                           const struct filefault *group, const char *place)
{
        const char *temp = event_get_str(json_object_get(facts->start, "environment"), "TMPDIR");
        const char *path = event_get_str(group->first->event, "path");
        char *mount = text_quote(group->mount != NULL ? group->mount : "/");
        bool space = group->code == FINDING_DISK_FULL || group->code == FINDING_QUOTA_EXCEEDED ||
                     group->code == FINDING_INODES_EXHAUSTED;

        if (facts->tools.shared != NULL && text_is_below(path, facts->tools.shared))
                add_export(d, "XDG_CACHE_HOME", "cache", place);
        else if (text_is_below(path, temp != NULL ? temp : "/tmp"))
                add_export(d, "TMPDIR", "tmp", place);
        else if (mount != NULL && group->code == FINDING_QUOTA_EXCEEDED)
                text_add(&d->commands, "quota -s");
        else if (mount != NULL && space)
                text_add(&d->commands, "df -%s %s", group->code == FINDING_DISK_FULL ? "h" : "i",
                         mount);
        free(mount);
}

/* What to give back to the user: the whole cache, or the directory above it that blocks. Never a
 * directory outside the home: it belongs to the system. */
static const char *repair_path(const struct facts *facts, const struct filefault *group,
                               const char *root)
{
        const char *home = event_get_str(json_object_get(facts->start, "environment"), "HOME");
        const char *at = filefault_blocked(group);

        home = home != NULL ? home : event_get_str(facts->start, "home");
        if (root != NULL && text_is_below(at, root))
                return filefault_is_file(group) ? root : at;
        return home != NULL && strcmp(home, "/") != 0 && text_is_below(at, home) ? at : NULL;
}

static char *advice_permissions(const struct facts *facts, const struct filefault *group,
                                const char *root)
{
        const json_t *event = group->first->event;
        const char *path = repair_path(facts, group, root);
        char *quoted = path != NULL ? text_quote(path) : NULL, *advice;
        bool own = event_get_int(event, "owner", -1) == event_get_int(event, "uid", -2);

        if (quoted == NULL)
                advice = text_format(
                        "The commands move the cache for this shell. For good, have who "
                        "looks after %s make it writable for you.",
                        filefault_blocked(group));
        else if (own)
                advice = text_format("The commands move the cache for this shell. Or repair it for "
                                     "good: chmod u+rwx %s",
                                     quoted);
        else
                advice = text_format("The commands move the cache for this shell. Or repair it for "
                                     "good: sudo chown -R \"$(id -u):$(id -g)\" %s",
                                     quoted);
        free(quoted);
        return advice;
}

static char *advice_space(const struct filefault *group, const char *mount)
{
        const char *moves =
                group->root_len > 0 ? "; until then, the commands move the cache elsewhere" : "";

        if (group->code == FINDING_QUOTA_EXCEEDED)
                return text_format("Remove files of your own on %s, or have the quota raised%s.",
                                   mount, moves);
        return text_format("Free room on %s (see: df -%s %s)%s.", mount,
                           group->code == FINDING_DISK_FULL ? "h" : "i", mount, moves);
}

static char *advice_place(const struct filefault *group, const char *at, const char *mount)
{
        switch (group->code) {
        case FINDING_PATH_COMPONENT_NOT_A_DIRECTORY:
                return text_format(
                        "The commands move the cache for this shell. Or move the file out "
                        "of the way: mv %s %s.old",
                        at, at);
        case FINDING_READ_ONLY_FILESYSTEM:
                return text_format(
                        "The commands move the cache to a filesystem that is likely to be "
                        "writable. In a container, mount a volume on %s.",
                        mount);
        case FINDING_HOME_MISSING:
                return text_format("The commands give this shell a home directory of its own. For "
                                   "good, have the account's directory made.");
        case FINDING_CROSS_DEVICE_RENAME:
                return text_format("The two directories must be on one file system.%s",
                                   group->root_len > 0 ? " The commands move the cache as a whole."
                                                       : "");
        case FINDING_LOCKS_UNSUPPORTED:
                return text_format("The commands move the cache to a local file system.");
        case FINDING_NOEXEC:
                return text_format("Put the directory where programs may be started, or have %s "
                                   "mounted without noexec.",
                                   mount);
        case FINDING_FILE_TOO_LARGE:
                return text_format("The file system %s takes no larger files: move the directory "
                                   "to another one.",
                                   mount);
        default:
                return NULL;
        }
}

static char *advice_of(const struct facts *facts, const struct filefault *group, const char *root)
{
        char *at = text_quote(filefault_blocked(group)), *advice;
        char *mount = text_quote(group->mount != NULL ? group->mount : "/");

        if (group->code == FINDING_DISK_FULL || group->code == FINDING_INODES_EXHAUSTED ||
            group->code == FINDING_QUOTA_EXCEEDED)
                advice = advice_space(group, mount);
        else if (group->code == FINDING_TEMP_NOT_WRITABLE)
                advice = temporary_advice(facts, group->first->event);
        else
                advice = advice_place(group, at, mount);
        if (advice == NULL && group->code != FINDING_TOO_MANY_OPEN_FILES)
                advice = advice_permissions(facts, group, root);
        free(mount);
        free(at);
        return advice;
}

void remedy_files(struct draft *d, const struct facts *facts, const struct filefault *group)
{
        const char *place = place_for(facts, group);
        char *root;

        /* The commands are those of rules_size_limit(). */
        if (group->code == FINDING_FILE_TOO_LARGE &&
            event_get_int(group->first->event, "fsize_limit", -1) >= 0)
                return;
        root = filefault_root(group);

        if (group->code == FINDING_TOO_MANY_OPEN_FILES) {
                text_add(&d->commands, "ulimit -n \"$(ulimit -Hn)\"");
        } else if (group->code == FINDING_TEMP_NOT_WRITABLE) {
                add_export(d, "TMPDIR", "tmp", place);
        } else if (group->code == FINDING_HOME_MISSING ||
                   (group->code == FINDING_HOME_NOT_WRITABLE && group->root_len == 0)) {
                add_export(d, "HOME", "home", place);
        } else if (group->root_len > 0) {
                move_caches(d, group, place);
                move_guessed(d, group, place);
        } else {
                move_temporary(d, facts, group, place);
        }
        d->advice = advice_of(facts, group, root);
        free(root);
}
