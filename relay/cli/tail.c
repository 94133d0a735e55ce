/* tapline tail: follows a record and prints each event as a line in words. */
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/paths.h"
#include "explain/line.h"
#include "record/event.h"
#include "record/follow.h"
#include "record/reader.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINES_DEFAULT = 10, LINES_MAX = 1000000 };

static const struct timespec between_looks = {0, 100 * 1000 * 1000};

struct tail {
        const struct options *options;
        struct record_follow *follow; /* owned */
        json_t **last;                /* owned: a ring of the events before we began to follow */
        size_t room, seen;
        bool ended; /* run.end was the last event of its kind */
};

static void usage(void)
{
        puts("usage: tapline tail [options] [RECORD]\n\n"
             "Prints the events of a record, one a line, as they are written: the newest record if "
             "none is\nnamed. Ends when nobody writes it any more.\n");
        options_help(FOR_TAIL);
        puts("\nexamples:\n"
             "  tapline tail                              # what the run in the other window does\n"
             "  tapline tail --event 'http.*,file.failure'\n"
             "  tapline tail --from-start --flow 3 run.jsonl\n\n"
             "exit status: 0 when the run has ended, 1 when the record stops without that, 2 on "
             "bad input.");
}

/* Is word, a number or a name, in a list with commas? NULL is a list of everything. */
static bool is_listed(const char *list, const char *word)
{
        char item[64];

        if (list == NULL)
                return true;
        for (size_t len; *list != '\0'; list += len + (list[len] == ',')) {
                len = strcspn(list, ",");
                snprintf(item, sizeof item, "%.*s", (int)(len < 63 ? len : 63), list);
                if (fnmatch(item, word, 0) == 0)
                        return true;
        }
        return false;
}

static bool number_is_listed(const char *list, const json_t *event, const char *key)
{
        char number[24];

        snprintf(number, sizeof number, "%lld", (long long)event_get_int(event, key, 0));
        return is_listed(list, number);
}

static bool is_wanted(const struct options *o, const json_t *event)
{
        return is_listed(o->event, event_get_str(event, "event")) &&
               number_is_listed(o->pid, event, "pid") && number_is_listed(o->flow, event, "flow");
}

/* Each part of --event must be able to match something, and numbers must be numbers. */
static int check_filters(const struct options *o)
{
        const char *const numbers[][2] = {{"pid", o->pid}, {"flow", o->flow}};
        char item[64];

        for (const char *list = o->event; list != NULL && *list != '\0';) {
                size_t len = strcspn(list, ",");
                bool known = false;

                snprintf(item, sizeof item, "%.*s", (int)(len < 63 ? len : 63), list);
                for (int kind = 0; kind < EVENT_KIND_COUNT; kind++)
                        known = known || fnmatch(item, event_kind_name(kind), 0) == 0;
                if (!known) {
                        fprintf(stderr, "tapline tail: --event: no event is called '%s'\n", item);
                        return -1;
                }
                list += len + (list[len] == ',');
        }
        for (size_t i = 0; i < 2; i++) {
                const char *list = numbers[i][1];

                if (list != NULL && (*list == '\0' || list[strspn(list, "0123456789,")] != '\0')) {
                        fprintf(stderr, "tapline tail: --%s: '%s' is not a number\n", numbers[i][0],
                                list);
                        return -1;
                }
        }
        return 0;
}

/* How many of the events that are there already are printed; SIZE_MAX: all. -1: a complaint. */
static int read_lines(const struct options *o, size_t *out)
{
        char *end;
        unsigned long lines = o->lines != NULL ? strtoul(o->lines, &end, 10) : LINES_DEFAULT;

        if (o->lines != NULL &&
            (o->lines[0] < '0' || o->lines[0] > '9' || *end != '\0' || lines > LINES_MAX)) {
                fprintf(stderr, "tapline tail: --lines: '%s' is not a number up to %d\n", o->lines,
                        LINES_MAX);
                return -1;
        }
        *out = o->from_start ? SIZE_MAX : lines;
        return 0;
}

/* Takes event. */
static void keep(struct tail *tail, json_t *event)
{
        json_t **place = tail->room > 0 ? &tail->last[tail->seen++ % tail->room] : NULL;

        if (place == NULL) {
                json_decref(event);
                return;
        }
        json_decref(*place);
        *place = event;
}

static void print_kept(struct tail *tail)
{
        for (size_t i = 0; i < tail->room; i++) {
                json_t **place = &tail->last[(tail->seen + i) % tail->room];

                if (*place != NULL)
                        line_print(stdout, *place);
                json_decref(*place);
                *place = NULL;
        }
}

/* Take all events that are there. Returns whether they could be printed. */
static bool take(struct tail *tail, bool print)
{
        json_t *event;

        while ((event = record_follow_next(tail->follow)) != NULL) {
                const char *kind = event_get_str(event, "event");

                if (strcmp(kind, "run.start") == 0 || strcmp(kind, "run.end") == 0)
                        tail->ended = strcmp(kind, "run.end") == 0;
                if (!is_wanted(tail->options, event)) {
                        json_decref(event);
                } else if (print) {
                        line_print(stdout, event);
                        json_decref(event);
                } else {
                        keep(tail, event);
                }
        }
        return fflush(stdout) == 0;
}

static int stopped(const struct tail *tail, const char *path)
{
        if (tail->ended)
                return EXIT_SUCCESS;
        fprintf(stderr, "tapline: nobody writes %s any more, and it has no end of the run%s\n",
                path, record_follow_is_cut(tail->follow) ? "; its last line is cut short" : "");
        return 1;
}

/* Whoever wrote to the record has done so before it let go of it: look for that first. */
static int follow(struct tail *tail, const char *path, bool from_start)
{
        bool written, printed = take(tail, from_start);

        print_kept(tail);
        do {
                written = record_follow_is_written(tail->follow);
                printed = printed && take(tail, true);
                if (written)
                        nanosleep(&between_looks, NULL);
        } while (written && printed);
        if (printed && fflush(stdout) == 0)
                return stopped(tail, path);
        fprintf(stderr, "tapline: cannot write: %s\n", strerror(errno));
        return EXIT_USAGE;
}

static int tail_record(const struct options *o, const char *path)
{
        struct tail tail = {.options = o};
        int result = record_follow_open(&tail.follow, path), status = EXIT_USAGE;
        size_t lines;

        if (result < 0) {
                fprintf(stderr, "tapline: cannot read the record %s: %s\n", path,
                        strerror(-result));
                return EXIT_USAGE;
        }
        if (check_filters(o) == 0 && read_lines(o, &lines) == 0) {
                tail.room = o->from_start ? 0 : lines;
                tail.last = calloc(tail.room + 1, sizeof *tail.last);
                if (tail.last != NULL)
                        status = follow(&tail, path, o->from_start);
        }
        free(tail.last);
        record_follow_free(tail.follow);
        return status;
}

int command_tail(int argc, char **argv)
{
        struct options o;
        int next = 0, status = EXIT_USAGE;
        char *newest = NULL;

        if (options_read(&o, FOR_TAIL, argc, argv, &next) < 0) {
                /* said already */
        } else if (o.help) {
                usage();
                status = EXIT_SUCCESS;
        } else if (next + 1 < argc) {
                fputs("tapline tail: one record at a time; see tapline tail --help\n", stderr);
        } else if (next < argc) {
                status = tail_record(&o, argv[next]);
        } else if ((newest = path_newest_record()) != NULL) {
                status = tail_record(&o, newest);
        } else {
                fputs("tapline: there is no record yet; tapline run makes one\n", stderr);
        }
        free(newest);
        options_free(&o);
        return status;
}
