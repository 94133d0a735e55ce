/* Home, temp and cache directories: what a tool would meet is tried, and what refuses is explained
 * by the rules that would explain the tool's own failure. */
#include "cli/check.h"
#include "record/examine.h"
#include "record/reader.h"
#include "record/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Below this an installation of some size fails half-way. */
enum { LOW_MEBIBYTES = 100, LOW_INODES = 1000 };

static json_t *parse_event(struct event *e)
{
        size_t len;
        const char *text = event_finish(e, &len);

        return json_loadb(text, len, 0, NULL);
}

/* The event that the library would report. Below the directory, so that it counts as being in it.
 */
static json_t *make_failure(const struct probe *probe)
{
        struct event_who who = {.pid = getpid(), .tid = getpid()};
        struct examine_call call = {.pid = getpid(),
                                    .path = probe->path,
                                    .error = probe->error,
                                    .intent = probe->reads ? EXAMINE_READ : EXAMINE_WRITE};
        struct event e;

        event_begin(&e, EVENT_FILE_FAILURE, &who, 0);
        event_str(&e, "call", probe->call);
        event_str(&e, "path", probe->path);
        event_str(&e, "errno", event_errno_name(probe->error));
        event_str(&e, "intent", probe->reads ? "read" : "write");
        examine_call(&e, &call);
        return parse_event(&e);
}

static json_t *make_process(const struct catalogue_tool *tool)
{
        struct event_who who = {.pid = getpid(), .tid = getpid()};
        struct event e;

        event_begin(&e, EVENT_PROCESS_START, &who, 0);
        event_int(&e, "ppid", getppid());
        event_open_array(&e, "argv");
        event_str(&e, NULL, tool != NULL ? tool->programs[0] : "sh");
        event_close_array(&e);
        return parse_event(&e);
}

/* The place of an item that the rules have no word for. */
static struct check_item *add_plain(struct check *check, const char *what, enum check_state state,
                                    const char *title, const struct probe *probe)
{
        return check_add(check, what, state, "%s cannot be %s: %s: %s.", title,
                         probe->reads ? "read" : "written", probe->path, strerror(probe->error));
}

/* It has not run: that it asked for no connection proves nothing. */
static json_t *make_connect(void)
{
        struct event_who who = {.pid = getpid(), .tid = getpid()};
        struct event e;

        event_begin(&e, EVENT_CONNECT, &who, 0);
        event_str(&e, "kind", "direct");
        event_int(&e, "port", 0);
        return parse_event(&e);
}

static struct check_item *explain_probe(struct check *check, const char *what,
                                        const struct catalogue_tool *tool,
                                        const struct probe *probe)
{
        json_t *process = make_process(tool), *failure = make_failure(probe),
               *connect = make_connect();

        if (process == NULL || failure == NULL || connect == NULL) {
                json_decref(process);
                json_decref(failure);
                json_decref(connect);
                check->oom = true;
                return NULL;
        }
        return check_explain(check, what, (json_t *[]){process, failure, connect}, 3);
}

static bool is_low(const struct probe *probe)
{
        return (probe->free_bytes >= 0 && probe->free_bytes < LOW_MEBIBYTES * 1048576LL) ||
               (probe->free_inodes >= 0 && probe->free_inodes < LOW_INODES);
}

static void add_usable(struct check *check, const char *what, const char *title, const char *path,
                       const struct probe *probe)
{
        enum check_state state = is_low(probe) ? CHECK_WARNING : CHECK_OK;
        struct check_item *item;

        if (probe->free_inodes >= 0 && probe->free_inodes < LOW_INODES)
                item = check_add(check, what, state,
                                 "%s: %s can be written, but only %lld more "
                                 "files fit",
                                 title, path, (long long)probe->free_inodes);
        else
                item = check_add(check, what, state, "%s: %s can be %s, %s%lld MB free", title,
                                 path, probe->exists ? "written" : "made",
                                 is_low(probe) ? "but only " : "",
                                 (long long)(probe->free_bytes / 1000000));
        if (state == CHECK_WARNING)
                check_advise(item, "Free room there (see: df -h %s; df -i %s).", path, path);
}

static void check_cache(struct check *check, const struct cache_place *place)
{
        enum check_state state = caches_is_fatal(place) ? CHECK_PROBLEM : CHECK_WARNING;
        struct check_item *item;

        if (place->probe.error == 0) {
                add_usable(check, "cache", place->tool->title, place->path, &place->probe);
                return;
        }
        item = explain_probe(check, "cache", place->tool, &place->probe);
        if (item == NULL)
                item = add_plain(check, "cache", state, place->tool->title, &place->probe);
        if (item != NULL)
                item->state = state;
}

static void check_home(struct check *check)
{
        const char *home = getenv("HOME");
        struct check_item *item = NULL;
        struct probe probe;

        if (home == NULL || home[0] != '/') {
                item = check_add(check, "home", CHECK_PROBLEM, "HOME is %s.",
                                 home == NULL ? "not set" : "not an absolute path");
                check_advise(item, "Most tools keep their caches and settings below it.");
                if (item != NULL)
                        text_add(&item->commands, "export HOME=\"$(mktemp -d)\"");
                return;
        }
        probe_directory_itself(home, &probe);
        if (probe.error == 0) {
                add_usable(check, "home", "HOME", home, &probe);
                return;
        }
        /* Nothing may be wanted there: the caches have items of their own. */
        item = add_plain(check, "home", probe.exists ? CHECK_WARNING : CHECK_PROBLEM,
                         "The home directory", &probe);
        if (item != NULL)
                item->code = probe.exists ? "home-not-writable" : "home-missing";
        if (item != NULL)
                text_add(&item->commands, "export HOME=\"$(mktemp -d)\"");
        check_advise(item, "The command gives this shell another one.");
}

static void check_temp(struct check *check)
{
        const char *temp = getenv("TMPDIR");
        const char *dir = temp != NULL && temp[0] == '/' ? temp : "/tmp";
        struct check_item *item;
        struct probe probe;

        probe_directory_itself(dir, &probe);
        if (probe.error == 0 && probe.exists) {
                add_usable(check, "temp", "temporary files", dir, &probe);
                return;
        }
        if (probe.error == 0)
                item = check_add(check, "temp", CHECK_PROBLEM,
                                 "The directory for temporary files, %s, does not exist.", dir);
        else
                item = add_plain(check, "temp", CHECK_PROBLEM, "The directory for temporary files",
                                 &probe);
        if (item == NULL)
                return;
        item->code = "temp-not-writable";
        if (temp != NULL && strcmp(dir, "/tmp") != 0)
                text_add(&item->commands, "unset TMPDIR");
        else
                text_add(&item->commands, "export TMPDIR=\"$(mktemp -d -p \"$HOME\")\"");
}

/* Most tools write into the project: a lock file, a virtual environment, node_modules. */
static void check_project(struct check *check)
{
        const char *cwd = event_get_str(check->caches.start, "cwd");
        struct probe probe;

        if (check->command == NULL || cwd == NULL)
                return;
        probe_directory_itself(cwd, &probe);
        if (probe.error == 0)
                add_usable(check, "project", "this directory", cwd, &probe);
        else
                add_plain(check, "project", CHECK_WARNING, "This directory", &probe);
}

void check_files(struct check *check)
{
        check_home(check);
        check_temp(check);
        check_project(check);
        for (size_t i = 0; i < check->caches.count; i++)
                check_cache(check, &check->caches.places[i]);
}
