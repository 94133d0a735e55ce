/* tapline check: would it work? Looks before anything is run. */
#include "cli/check.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/paths.h"
#include "explain/explain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void usage(void)
{
        puts("usage: tapline check [options] [--] [COMMAND [ARGUMENT...]]\n\n"
             "Looks, before anything is run, whether it would work: home, temp and cache "
             "directories and\n"
             "their space, the clock, name servers, the proxy, certificates, and whether the "
             "preloaded library\n"
             "gets into the command. Without a command: for every package manager that is found "
             "on PATH.\n"
             "The command is not run.\n");
        options_help(FOR_CHECK);
        puts("\nexit status: 0 when nothing is wrong, 1 when something would fail, 2 on bad "
             "input.\n\n"
             "  tapline check\n"
             "  tapline check poetry install");
}

struct check_item *check_add(struct check *check, const char *what, enum check_state state,
                             const char *format, ...)
{
        struct check_item *grown = reallocarray(check->items, check->count + 1, sizeof *grown);
        va_list args;

        if (grown == NULL) {
                check->oom = true;
                return NULL;
        }
        check->items = grown;
        grown += check->count++;
        *grown = (struct check_item){.what = what, .state = state};
        va_start(args, format);
        if (vasprintf(&grown->detail, format, args) < 0)
                grown->detail = NULL;
        va_end(args);
        return grown;
}

void check_advise(struct check_item *item, const char *format, ...)
{
        va_list args;

        if (item == NULL)
                return;
        free(item->advice);
        va_start(args, format);
        if (vasprintf(&item->advice, format, args) < 0)
                item->advice = NULL;
        va_end(args);
}

static enum check_state state_of(enum severity severity)
{
        return severity == SEVERITY_ERROR     ? CHECK_PROBLEM
               : severity == SEVERITY_WARNING ? CHECK_WARNING
                                              : CHECK_OK;
}

static struct check_item *take_finding(struct check *check, const char *what,
                                       const struct finding *f)
{
        struct check_item *item = check_add(check, what, state_of(f->severity), "%s", f->summary);

        if (item == NULL)
                return NULL;
        item->code = f->code;
        if (f->advice != NULL)
                check_advise(item, "%s", f->advice);
        for (size_t i = 0; i < f->evidence_count; i++)
                text_add(&item->evidence, "%s", f->evidence[i]);
        for (size_t i = 0; i < f->command_count; i++)
                text_add(&item->commands, "%s", f->commands[i]);
        return item;
}

struct check_item *check_explain(struct check *check, const char *what, json_t *const events[],
                                 size_t count)
{
        const char *now = event_get_str(check->caches.start, "time");
        json_t *end = json_pack("{s:s, s:s, s:i, s:i, s:s}", "time", now, "event", "run.end",
                                "status", 1, "duration_ms", 1, "relay", "ok");
        struct record_events all = {.items = calloc(count + 2, sizeof *all.items),
                                    .count = count + 2};
        struct check_item *item = NULL;
        struct explanation ex;

        if (all.items == NULL || end == NULL) {
                free(all.items);
                json_decref(end);
                check->oom = true;
                return NULL;
        }
        all.items[0] = json_incref(check->caches.start);
        for (size_t i = 0; i < count; i++)
                all.items[i + 1] = events[i];
        all.items[count + 1] = end;
        if (explain(&all, check->catalogue, &ex) == 0) {
                if (ex.finding_count > 0)
                        item = take_finding(check, what, &ex.findings[0]);
                explanation_free(&ex);
        }
        record_events_free(&all);
        return item;
}

static void check_fini(struct check *check)
{
        for (size_t i = 0; i < check->count; i++) {
                struct check_item *item = &check->items[i];

                free(item->detail);
                free(item->advice);
                text_list_fini(&item->evidence);
                text_list_fini(&item->commands);
        }
        free(check->items);
        caches_fini(&check->caches);
}

static bool has_problem(const struct check *check)
{
        for (size_t i = 0; i < check->count; i++)
                if (check->items[i].state == CHECK_PROBLEM)
                        return true;
        return false;
}

static int print(const struct check *check)
{
        const struct options *o = check->options;
        FILE *out = o->output != NULL ? output_open(o->output) : stdout;
        int result;

        if (out == NULL)
                result = -errno;
        else if (o->report_format == FORMAT_JSON)
                result = check_report_json(check, out);
        else
                result = check_report_text(check, o->quiet, out);
        if (out != NULL && out != stdout && fclose(out) != 0 && result == 0)
                result = -errno;
        if (result < 0)
                fprintf(stderr, "tapline: cannot write the report%s%s: %s\n",
                        o->output != NULL ? " " : "", o->output != NULL ? o->output : "",
                        strerror(-result));
        return result;
}

static int run(struct check *check)
{
        static void (*const looks[])(struct check *) = {check_files, check_clock, check_names,
                                                        check_proxy, check_trust, check_preload};

        enum report_format format = check->options->report_format;

        if (format != FORMAT_TEXT && format != FORMAT_JSON) {
                fprintf(stderr, "tapline check: there is no --format %s; text and json there are\n",
                        check->options->format);
                return EXIT_USAGE;
        }
        if (caches_look(&check->caches, check->catalogue, check->command) < 0)
                return EXIT_USAGE;
        for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
                looks[i](check);
        if (check->oom || print(check) < 0)
                return EXIT_USAGE;
        return has_problem(check) ? 1 : 0;
}

static int load_catalogue(struct catalogue **out)
{
        char *path = path_catalogue(), *user = path_config("catalogue.conf"), *error = NULL;
        int result = path != NULL ? catalogue_load(out, path, user, &error) : -ENOENT;

        if (result < 0)
                fprintf(stderr, "tapline: %s\n",
                        error != NULL ? error : "no catalogue of package managers");
        free(path);
        free(user);
        free(error);
        return result;
}

int command_check(int argc, char **argv)
{
        struct catalogue *catalogue = NULL;
        struct options o;
        struct way way = {0};
        int next = 0, status = EXIT_USAGE;

        if (options_read(&o, FOR_CHECK, argc, argv, &next) < 0) {
                /* said already */
        } else if (o.help) {
                usage();
                status = EXIT_SUCCESS;
        } else if (load_catalogue(&catalogue) == 0 && way_read(&way, &o) == 0) {
                struct check check = {.catalogue = catalogue,
                                      .options = &o,
                                      .way = &way,
                                      .command = next < argc ? argv + next : NULL};

                status = run(&check);
                check_fini(&check);
        }
        way_free(&way);
        catalogue_free(catalogue);
        options_free(&o);
        return status;
}
