/* The run in the trace event format, for ui.perfetto.dev and chrome://tracing: a process is a
 * slice, connections and requests are asynchronous slices (they overlap), what failed is an
 * instant. Times are microseconds since the record's beginning. Written event by event, however
 * long it is. */
#include "explain/text.h"
#include "explain/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Clients of the relay that are no processes of ours need a number of their own: no process has
 * one above 2^22 (proc(5), pid_max). */
enum { NO_PROCESS = 4194305 };

struct trace {
        FILE *out;
        const struct timeline *timeline;
        size_t written;
        int error;
};

/* Takes event. */
static void put(struct trace *trace, json_t *event)
{
        if (event == NULL) {
                trace->error = -ENOMEM;
                return;
        }
        fputs(trace->written++ > 0 ? ",\n" : "\n", trace->out);
        if (json_dumpf(event, trace->out, JSON_COMPACT) < 0 && trace->error == 0)
                trace->error = errno != 0 ? -errno : -EIO;
        json_decref(event);
}

static json_int_t pid_of(const struct span *span)
{
        return span->pid > 0 ? span->pid : NO_PROCESS;
}

static json_int_t since(const struct trace *trace, int64_t us)
{
        return us - trace->timeline->start_us;
}

/* A slice, or one end of it, by its phase. Takes args. */
static json_t *slice(const struct trace *trace, const struct span *span, const char *phase,
                     const char *name, int64_t us)
{
        return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "ph", phase, "cat",
                         timeline_kind_name(span->kind), "name", name, "pid", pid_of(span), "tid",
                         pid_of(span), "ts", since(trace, us));
}

static json_t *args_of(const struct trace *trace, const struct span *span)
{
        char *outcome = timeline_outcome(trace->timeline, span);
        json_t *args = json_pack("{s:s, s:b}", "outcome", outcome != NULL ? outcome : "", "failed",
                                 span->failed);
        const char *event;
        char key[40];

        for (size_t i = span->first, n = 0; i != TIMELINE_NONE; i = trace->timeline->next[i], n++) {
                json_t *item = trace->timeline->events->items[i];

                event = event_get_str(item, "event");
                snprintf(key, sizeof key, "%zu %.30s", n, event);
                json_object_set(args, key, item);
        }
        free(outcome);
        return args;
}

static void put_process(struct trace *trace, const struct span *span, const char *title)
{
        const char *exe = span->exe != NULL ? text_base(span->exe) : title;
        json_t *event = slice(trace, span, "X", title, span->start_us);

        put(trace, json_pack("{s:s, s:s, s:I, s:I, s:{s:s}}", "ph", "M", "name", "process_name",
                             "pid", pid_of(span), "tid", pid_of(span), "args", "name", exe));
        json_object_set_new(event, "dur", json_integer(span->end_us - span->start_us));
        json_object_set_new(event, "args", args_of(trace, span));
        put(trace, event);
}

/* Asynchronous slices are told apart by category and id. */
static void put_async(struct trace *trace, const struct span *span, const char *title)
{
        json_t *begin = slice(trace, span, "b", title, span->start_us);
        json_t *end = slice(trace, span, "e", title, span->end_us);
        json_t *id = json_sprintf("0x%zx", (size_t)(span - trace->timeline->spans) + 1);

        json_object_set(begin, "id", id);
        json_object_set_new(begin, "args", args_of(trace, span));
        json_object_set_new(end, "id", id);
        put(trace, begin);
        put(trace, end);
}

static void put_instant(struct trace *trace, const struct span *span, const char *title)
{
        json_t *event = slice(trace, span, "i", title, span->end_us);

        json_object_set_new(event, "s", json_string("t"));
        json_object_set_new(event, "args", args_of(trace, span));
        put(trace, event);
}

static void put_span(struct trace *trace, const struct span *span)
{
        char *title = timeline_title(trace->timeline, span);
        bool lasts = span->kind == SPAN_CONNECTION || span->kind == SPAN_REQUEST ||
                     span->end_us > span->start_us;

        if (title == NULL)
                trace->error = -ENOMEM;
        else if (span->kind == SPAN_PROCESS)
                put_process(trace, span, title);
        else if (lasts)
                put_async(trace, span, title);
        if (title != NULL && span->kind != SPAN_PROCESS && (span->failed || !lasts))
                put_instant(trace, span, title);
        free(title);
}

static void put_causes(struct trace *trace, const struct explanation *ex)
{
        json_t *causes = json_array();

        for (size_t i = 0; i < ex->finding_count; i++)
                json_array_append_new(causes, text_json(ex->findings[i].summary));
        fputs("\n],\n\"displayTimeUnit\":\"ms\",\n\"otherData\":", trace->out);
        trace->written = 0;
        put(trace, json_pack("{s:s, s:o, s:o}", "creator", "tapline", "command",
                             text_json(ex->summary.command), "causes", causes));
        fputs("}\n", trace->out);
}

int report_trace(const struct record_events *events, const struct explanation *ex, FILE *out)
{
        struct timeline timeline;
        struct trace trace = {out, &timeline, 0, timeline_init(&timeline, events)};

        errno = 0;
        if (trace.error == 0) {
                fputs("{\"traceEvents\":[", out);
                put(&trace, json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "ph", "M", "name",
                                      "process_name", "pid", NO_PROCESS, "tid", NO_PROCESS, "args",
                                      "name", "clients of the relay"));
                for (size_t i = 0; i < timeline.count && trace.error == 0; i++)
                        put_span(&trace, &timeline.spans[i]);
                put_causes(&trace, ex);
        }
        timeline_fini(&timeline);
        if (trace.error == 0 && (fflush(out) != 0 || ferror(out)))
                trace.error = errno != 0 ? -errno : -EIO;
        return trace.error;
}
