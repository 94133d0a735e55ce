/* tapline report: explains a record again. */
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/paths.h"
#include "cli/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void usage(void)
{
        puts("usage: tapline report [options] [RECORD]\n\n"
             "Reads a record (the newest one if none is named) and says what went wrong.\n");
        options_help(FOR_REPORT);
        puts("\nexit status: 0 when nothing is wrong, 1 when there is an error finding, 2 on bad "
             "input.");
}

static int write_format(const struct record_events *events, const struct explanation *ex,
                        const struct options *o, const char *path, FILE *out)
{
        switch (o->report_format) {
        case FORMAT_TEXT:
                return report_text(ex, path, out);
        case FORMAT_JSON:
                return report_json(ex, path, out);
        case FORMAT_HTML:
                return report_html(events, ex, path, out);
        case FORMAT_HAR:
                return report_har(events, ex, out);
        case FORMAT_OTLP:
                return report_otlp(events, ex, out);
        case FORMAT_GITHUB:
                return report_github(ex, out);
        case FORMAT_TRACE:
                return report_trace(events, ex, out);
        }
        return -EINVAL;
}

static int write_report(const struct record_events *events, const struct explanation *ex,
                        const struct options *o, const char *path)
{
        FILE *out = records_output(o);

        return records_finish(out, o,
                              out == NULL ? -errno : write_format(events, ex, o, path, out));
}

static bool has_error(const struct explanation *ex)
{
        for (size_t i = 0; i < ex->finding_count; i++)
                if (ex->findings[i].severity == SEVERITY_ERROR)
                        return true;
        return false;
}

static int report(const struct options *o, const char *path)
{
        struct record_events events;
        struct explanation ex;
        struct catalogue *catalogue;
        int status = EXIT_USAGE;

        if (records_read(path, &events) < 0)
                return EXIT_USAGE;
        catalogue = records_catalogue();
        if (explain(&events, catalogue, &ex) == 0) {
                if (write_report(&events, &ex, o, path) == 0)
                        status = has_error(&ex) ? 1 : 0;
                explanation_free(&ex);
        }
        catalogue_free(catalogue);
        record_events_free(&events);
        return status;
}

int command_report(int argc, char **argv)
{
        struct options o;
        int next = 0, status = EXIT_USAGE;
        char *newest = NULL;

        if (options_read(&o, FOR_REPORT, argc, argv, &next) < 0) {
                /* said already */
        } else if (o.help) {
                usage();
                status = EXIT_SUCCESS;
        } else if (next + 1 < argc) {
                fprintf(stderr,
                        "tapline report: one record at a time; see tapline report --help\n");
        } else if (next < argc) {
                status = report(&o, argv[next]);
        } else if ((newest = path_newest_record()) != NULL) {
                status = report(&o, newest);
        } else {
                fputs("tapline: there is no record yet; tapline run makes one\n", stderr);
        }
        free(newest);
        options_free(&o);
        return status;
}
