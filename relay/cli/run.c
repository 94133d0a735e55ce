/* tapline run: the command in the foreground, the relay beside it, the report at the end. */
#include "cli/capture.h"
#include "cli/childenv.h"
#include "cli/commands.h"
#include "cli/echo.h"
#include "cli/fix.h"
#include "cli/inspection.h"
#include "cli/limits.h"
#include "cli/options.h"
#include "cli/paths.h"
#include "cli/relay_child.h"
#include "cli/run_record.h"
#include "cli/supervise.h"
#include "cli/way.h"
#include "explain/explain.h"
#include "inspect/bundle.h"
#include "tapline_names.h"
#include "tapline_program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Everything that one run holds; all owned. */
struct run {
        struct options options;
        struct way way;
        struct catalogue *catalogue;
        char *dir;     /* private directory of the run */
        char *socket;  /* in dir */
        char *library; /* libtapline.so */
        char *record_path;
        struct record *record;
        struct inspection inspection;
        struct childenv *env;
        struct relay_child relay;
        struct capture capture; /* with --capture */
};

static void usage(void)
{
        puts("usage: tapline run [options] [--] COMMAND [ARGUMENT...]\n\n"
             "Runs the command with its connections led through a relay and its failed writes "
             "reported, then\n"
             "says in plain words what went wrong, with proof and with the commands that fix "
             "it.\n");
        options_help(FOR_RUN);
        puts("\nexit status: the command's own (128+n when signal n ended it), 125 when tapline "
             "itself failed,\n"
             "126 when the command cannot be executed, 127 when it is not found.\n\n"
             "  tapline run -- poetry install\n"
             "  tapline run --inspect -- npm install\n"
             "  tapline run --upstream http://proxy.example:3128 -- pip download example");
}

static int complain(const char *what, const char *path, int error)
{
        fprintf(stderr, "tapline: cannot %s %s: %s\n", what, path != NULL ? path : "",
                strerror(error));
        return -1;
}

static int load_catalogue(struct catalogue **out)
{
        char *path = path_catalogue(), *user = path_config("catalogue.conf"), *error = NULL;
        int result = path != NULL ? catalogue_load(out, path, user, &error) : -ENOENT;

        if (result < 0 && error != NULL)
                fprintf(stderr, "tapline: %s\n", error);
        else if (result < 0)
                complain("read the catalogue of package managers",
                         path != NULL ? path : "catalogue.conf", -result);
        free(path);
        free(user);
        free(error);
        return result < 0 ? -1 : 0;
}

/* The record must be writable before the command starts: without it there would be nothing to
 * explain. */
static int open_record(struct run *r)
{
        int fallback = 0, result;

        r->record_path = r->options.record != NULL ? path_absolute(r->options.record)
                                                   : path_new_record(&fallback);
        if (r->record_path == NULL)
                return complain("find a place for", "the record; name one with --record",
                                errno != 0 ? errno : ENOENT);
        result = record_open(&r->record, r->record_path);
        if (result < 0)
                return complain("write the record", r->record_path, -result);
        record_echo(r->record, r->options.verbose ? echo_event : NULL);
        return 0;
}

/* LD_PRELOAD is split at blanks and colons: a library whose path has some is reached through a
 * link. */
static int place_library(struct run *r)
{
        char *found = path_library();

        if (found == NULL)
                return complain("find",
                                TAPLINE_LIB_NAME " beside the program or in " TAPLINE_LIBDIR,
                                ENOENT);
        if (strpbrk(found, ": \t") == NULL) {
                r->library = found;
                return 0;
        }
        if (asprintf(&r->library, "%s/" TAPLINE_LIB_NAME, r->dir) < 0 ||
            symlink(found, r->library) < 0) {
                int error = errno;

                free(found);
                return complain("make", r->library, error);
        }
        free(found);
        return 0;
}

static int make_places(struct run *r)
{
        r->dir = path_make_run_dir();
        if (r->dir == NULL)
                return complain("make a private directory below",
                                getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", errno);
        if (asprintf(&r->socket, "%s/" TAPLINE_SOCKET_NAME, r->dir) < 0)
                return -1;
        return place_library(r);
}

/* For the library, which adds it where programs load their roots. */
static int export_ca(struct run *r)
{
        char *path;
        int result;

        if (asprintf(&path, "%s/ca.der", r->dir) < 0)
                return -ENOMEM;
        result = bundle_write_der(ca_certificate(r->inspection.ca), path);
        if (result == 0)
                childenv_set(r->env, TAPLINE_ENV_CA, path);
        free(path);
        return result;
}

static int prepare_inspection(struct run *r)
{
        const struct inspection *in = &r->inspection;
        int result;

        if (inspection_start(&r->inspection, &r->options, r->record) < 0)
                return -1;
        if (in->inspector == NULL)
                return 0;
        result = trust_export(in->trust, ca_certificate(in->ca), r->dir, childenv_set_kept, r->env);
        if (result == 0)
                result = export_ca(r);
        return result < 0 ? complain("write certificates to", r->dir, -result) : 0;
}

static int start_relay(struct run *r)
{
        struct relay_limits limits;
        struct relay_options options = {.socket_path = r->socket,
                                        .routing = &r->way.routing,
                                        .via = options_via(&r->options),
                                        .bypass = r->way.bypass,
                                        .resolve = (enum relay_resolve)r->options.resolve_mode,
                                        .record = r->record,
                                        .inspector = r->inspection.inspector,
                                        .digest = r->options.digest,
                                        .lifetime_fd = -1,
                                        .ready_fd = -1,
                                        .drain_ms = r->options.drain_ms};

        if (limits_read(&limits, &r->options) < 0)
                return -1;
        options.limits = limits;
        return relay_child_start(&r->relay, &options) < 0 ? complain("start", "the relay", ECHILD)
                                                          : 0;
}

static int prepare_environment(struct run *r)
{
        childenv_preload(r->env, r->library);
        childenv_set(r->env, TAPLINE_ENV_SOCKET, r->socket);
        childenv_set(r->env, TAPLINE_ENV_BYPASS, r->way.bypass_none ? "none" : "loopback");
        childenv_set(r->env, TAPLINE_ENV_RECORD, r->record_path);
        childenv_set(r->env, TAPLINE_ENV_QUIC, r->options.quic != NULL ? r->options.quic : "pass");
        childenv_set(r->env, TAPLINE_ENV_RESOLVE,
                     r->options.resolve != NULL ? r->options.resolve : "auto");
        childenv_set(r->env, OPTIONS_ENV_INSIDE, "1");
        if (r->options.only != NULL)
                childenv_set(r->env, TAPLINE_ENV_ONLY, r->options.only);
        if (r->options.except != NULL)
                childenv_set(r->env, TAPLINE_ENV_EXCEPT, r->options.except);
        /* The variables lead all programs to us, those too that are to be left alone. */
        if (r->way.taken_over && r->options.only == NULL && r->options.except == NULL)
                childenv_take_over_proxies(r->env, r->relay.port);
        return childenv_is_whole(r->env) ? 0
                                         : complain("make", "the command's environment", ENOMEM);
}

static int prepare(struct run *r, char **command)
{
        r->env = childenv_new();
        if (r->env == NULL || load_catalogue(&r->catalogue) < 0 ||
            way_read(&r->way, &r->options) < 0 || make_places(r) < 0 || open_record(r) < 0)
                return -1;
        run_record_start(r->record, &r->options, &r->way, command, r->catalogue);
        record_flush(r->record);
        supervise_prepare();
        if (prepare_inspection(r) < 0 || start_relay(r) < 0)
                return -1;
        /* From here on only the relay needs the keys. */
        inspection_free(&r->inspection);
        if (r->options.fix && fix_caches(r->catalogue, command, r->env, r->record) < 0)
                return complain("look at", "the caches", ENOMEM);
        return prepare_environment(r);
}

/* Explain what the record holds; say it, unless all is well and --quiet. */
static void explain_run(struct run *r)
{
        struct record_events events;
        struct explanation ex;

        if (record_read(r->record_path, &events) < 0) {
                complain("read back the record", r->record_path, errno);
                return;
        }
        if (explain(&events, r->catalogue, &ex) == 0) {
                run_record_findings(r->record, &ex);
                record_flush(r->record);
                if (!r->options.quiet || ex.finding_count > 0 || ex.summary.status != 0)
                        report_text(&ex, r->record_path, stderr);
                explanation_free(&ex);
        }
        record_events_free(&events);
}

static int64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* What the library does for the command's children, done for the command itself. */
static void look_at(struct run *r, char **command)
{
        struct program found;

        program_search(command[0], &found);
        if (program_is_disturbed(found.reason))
                childenv_withhold(r->env);
        if (found.reason == WIRE_COVERED ||
            !program_is_chosen(r->options.only, r->options.except,
                               (const char *[]){command[0], found.path}, 2))
                return;
        run_record_uncovered(r->record, &found);
        record_flush(r->record);
}

static int run_command(struct run *r, char **command)
{
        int64_t start = now_us();
        struct outcome outcome;
        bool relay_ok;
        int result;

        look_at(r, command);
        result = r->options.capture ? capture_start(&r->capture, r->catalogue, r->record) : 0;
        if (result < 0) {
                complain("capture the output of", command[0], -result);
                relay_child_stop(&r->relay, 0);
                return EXIT_OWN_FAILURE;
        }
        result = supervise_command(command, childenv_list(r->env),
                                   r->options.capture ? &r->capture : NULL, &outcome);
        if (r->options.capture)
                capture_finish(&r->capture);
        relay_ok = relay_child_stop(&r->relay, r->options.drain_ms);
        if (result < 0) {
                complain("start", command[0], -result);
                return EXIT_OWN_FAILURE;
        }
        run_record_end(r->record, &outcome, now_us() - start, relay_ok);
        record_flush(r->record);
        if (outcome.exec_error != 0)
                complain("run", command[0], outcome.exec_error);
        else
                explain_run(r);
        return outcome.status;
}

static void run_fini(struct run *r)
{
        inspection_free(&r->inspection);
        record_free(r->record);
        if (r->dir != NULL)
                path_remove_run_dir(r->dir);
        childenv_free(r->env);
        catalogue_free(r->catalogue);
        way_free(&r->way);
        options_free(&r->options);
        free(r->dir);
        free(r->socket);
        free(r->library);
        free(r->record_path);
}

int command_run(int argc, char **argv)
{
        struct run r = {.relay = {.pid = -1}};
        int next = 0, status = EXIT_OWN_FAILURE;

        if (options_read(&r.options, FOR_RUN, argc, argv, &next) < 0) {
                /* said already */
        } else if (r.options.help) {
                usage();
                status = EXIT_SUCCESS;
        } else if (next >= argc) {
                fputs("tapline run: no command was given; see tapline run --help\n", stderr);
        } else if (prepare(&r, argv + next) == 0) {
                status = run_command(&r, argv + next);
        } else if (r.relay.pid > 0) {
                relay_child_stop(&r.relay, 0);
        }
        run_fini(&r);
        return status;
}
