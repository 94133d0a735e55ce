/* tapline diff: what differs between two runs, most of all one that worked and one that did not. */
#include "cli/commands.h"
#include "cli/records.h"
#include "explain/compare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void usage(void)
{
        puts("usage: tapline diff [options] RECORD RECORD\n\n"
             "Says in what two runs differ: how they ended, findings, settings, names, ways out,\n"
             "connections, answers, failed file calls, programs that could not be watched, "
             "times.\n");
        options_help(FOR_DIFF);
        puts("\nexit status: 0 when they do not differ in what matters, 1 when they do, 2 on bad "
             "input.");
}

static int write_differences(const struct options *o, const struct compared runs[2],
                             const struct differences *differences)
{
        FILE *out = records_output(o);
        int result = -errno;

        if (out != NULL && o->report_format == FORMAT_JSON)
                result = compare_json(runs, differences, out);
        else if (out != NULL)
                result = compare_text(runs, differences, out);
        return records_finish(out, o, result);
}

static int diff_explained(const struct options *o, const struct compared runs[2])
{
        struct differences differences;
        int status = EXIT_USAGE;

        if (compare(runs, &differences) < 0)
                fputs("tapline: out of memory\n", stderr);
        else if (write_differences(o, runs, &differences) == 0)
                status = differences.matter ? 1 : EXIT_SUCCESS;
        differences_free(&differences);
        return status;
}

static int diff(const struct options *o, char *const *paths)
{
        struct record_events events[2] = {{0}, {0}};
        struct explanation ex[2] = {{0}, {0}};
        struct catalogue *catalogue = NULL;
        struct compared runs[2];
        int status = EXIT_USAGE, ready = 0;

        for (int i = 0; i < 2 && records_read(paths[i], &events[i]) == 0; i++)
                ready++;
        if (ready == 2)
                catalogue = records_catalogue();
        for (int i = 0; i < 2 && ready >= 2; i++) {
                ready += explain(&events[i], catalogue, &ex[i]) == 0;
                runs[i] = (struct compared){paths[i], &events[i], &ex[i]};
        }
        if (ready == 4)
                status = diff_explained(o, runs);
        for (int i = 0; i < 2; i++) {
                explanation_free(&ex[i]);
                record_events_free(&events[i]);
        }
        catalogue_free(catalogue);
        return status;
}

int command_diff(int argc, char **argv)
{
        struct options o;
        int next = 0, status = EXIT_USAGE;

        if (options_read(&o, FOR_DIFF, argc, argv, &next) < 0) {
                /* said already */
        } else if (o.help) {
                usage();
                status = EXIT_SUCCESS;
        } else if (next + 2 != argc) {
                fputs("tapline diff: two records are needed; see tapline diff --help\n", stderr);
        } else if (o.report_format != FORMAT_TEXT && o.report_format != FORMAT_JSON) {
                fprintf(stderr, "tapline diff: there is no --format %s; text and json there are\n",
                        o.format);
        } else {
                status = diff(&o, argv + next);
        }
        options_free(&o);
        return status;
}
