/* The run as a trace of OpenTelemetry, in the JSON of OTLP as its file exporter writes it: a
 * TracesData on each line. The command is the root span; processes, connections, requests, lookups
 * and waits for locks are spans below it, failed file calls are events of their process, and
 * findings are events of the root. Ids are made from the record, so that the same record gives the
 * same trace. Names of attributes are those of the semantic conventions where these have one. */
#include "explain/otlp_attributes.h"
#include "explain/text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
        LINE_SPANS = 500
}; /* of a long run, each line holds so many: a reader takes one at a time */
enum { KIND_INTERNAL = 1, KIND_CLIENT = 3, STATUS_ERROR = 2 }; /* trace.proto */
enum { TRACE_ID = 16, SPAN_ID = 8 };

struct otlp {
        FILE *out;
        const struct timeline *timeline;
        const struct explanation *ex;
        const json_t *start;
        size_t *moments; /* owned; by span: its first moment, then by moment: the next; or NONE */
        size_t root_moments;
        unsigned char trace_id[TRACE_ID];
        json_t *spans; /* owned: those of the next line */
        int error;
};

static bool is_moment(const struct span *span)
{
        return span->kind == SPAN_FILE || span->kind == SPAN_NOTE;
}

static json_t *hex(const unsigned char *bytes, size_t len)
{
        char text[2 * TRACE_ID + 1];

        for (size_t i = 0; i < len; i++)
                snprintf(text + 2 * i, 3, "%02x", bytes[i]);
        return json_stringn(text, 2 * len);
}

/* TIMELINE_NONE is the root's. */
static json_t *span_id(const struct otlp *o, size_t index)
{
        unsigned char text[TRACE_ID + sizeof index], digest[EVP_MAX_MD_SIZE] = {1};

        memcpy(text, o->trace_id, TRACE_ID);
        memcpy(text + TRACE_ID, &index, sizeof index);
        EVP_Digest(text, sizeof text, digest, NULL, EVP_sha256(), NULL);
        return hex(digest, SPAN_ID);
}

static void make_trace_id(struct otlp *o)
{
        unsigned char digest[EVP_MAX_MD_SIZE] = {1};
        const json_t *first = o->timeline->events->items[0];
        char *text = json_dumps(first, JSON_COMPACT | JSON_SORT_KEYS);

        if (text != NULL)
                EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
        memcpy(o->trace_id, digest, TRACE_ID);
        free(text);
}

/* 64-bit numbers are strings in protobuf's JSON. */
static json_t *nanoseconds(int64_t us)
{
        return json_sprintf("%lld000", (long long)(us > 0 ? us : 0));
}

static json_t *moment_json(const struct otlp *o, const struct span *moment)
{
        const json_t *event = o->timeline->events->items[moment->first];

        return json_pack("{s:o, s:o, s:o}", "timeUnixNano", nanoseconds(moment->end_us), "name",
                         json_string(event_get_str(event, "event")), "attributes",
                         otlp_moment_attributes(event));
}

static json_t *moments_json(const struct otlp *o, size_t first)
{
        json_t *list = json_array();

        for (size_t i = first; i != TIMELINE_NONE; i = o->moments[i])
                json_array_append_new(list, moment_json(o, &o->timeline->spans[i]));
        return list;
}

static json_t *status_json(bool failed, const char *message)
{
        if (!failed)
                return json_object();
        return json_pack("{s:i, s:o}", "code", STATUS_ERROR, "message", text_json(message));
}

/* Takes parent, attributes, moments and status. */
static json_t *span_json(const struct otlp *o, size_t index, json_t *parent, const char *name,
                         int kind, int64_t from_us, int64_t to_us, json_t *attributes,
                         json_t *moments, json_t *status)
{
        return json_pack("{s:o, s:o, s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "traceId",
                         hex(o->trace_id, TRACE_ID), "spanId", span_id(o, index), "parentSpanId",
                         parent, "name", name, "kind", kind, "startTimeUnixNano",
                         nanoseconds(from_us), "endTimeUnixNano", nanoseconds(to_us), "attributes",
                         attributes, "events", moments, "status", status);
}

static json_t *resource_json(const struct otlp *o)
{
        json_t *list = json_array();

        otlp_add_string(list, "service.name",
                        o->ex->summary.relay ? "tapline relay" : otlp_command_name(o->start));
        otlp_add_string(list, "telemetry.sdk.name", "tapline");
        otlp_add_string(list, "telemetry.sdk.language", "c");
        otlp_add_string(list, "telemetry.sdk.version", event_get_str(o->start, "version"));
        return json_pack("{s:o}", "attributes", list);
}

/* Write the collected spans as one line. */
static void write_line(struct otlp *o)
{
        const char *version = event_get_str(o->start, "version");
        json_t *line =
                json_pack("{s:[{s:o, s:[{s:{s:s, s:s}, s:o}]}]}", "resourceSpans", "resource",
                          resource_json(o), "scopeSpans", "scope", "name", "tapline", "version",
                          version != NULL ? version : "", "spans", o->spans);

        o->spans = json_array();
        if (line == NULL || o->spans == NULL)
                o->error = -ENOMEM;
        else if (json_dumpf(line, o->out, JSON_COMPACT) < 0 || putc('\n', o->out) == EOF)
                o->error = errno != 0 ? -errno : -EIO;
        json_decref(line);
}

/* Takes span. */
static void add(struct otlp *o, json_t *span)
{
        if (span == NULL || json_array_append_new(o->spans, span) < 0)
                o->error = -ENOMEM;
        if (json_array_size(o->spans) >= LINE_SPANS)
                write_line(o);
}

static json_t *finding_json(const struct otlp *o, const struct finding *f)
{
        json_t *list = json_array();

        otlp_add_string(list, "tapline.finding.code", f->code);
        otlp_add_string(list, "tapline.finding.severity", severity_name(f->severity));
        otlp_add_string(list, "tapline.finding.confidence", confidence_name(f->confidence));
        otlp_add_string(list, "tapline.finding.summary", f->summary);
        return json_pack("{s:o, s:s, s:o}", "timeUnixNano", nanoseconds(o->timeline->end_us),
                         "name", "finding", "attributes", list);
}

static void add_root(struct otlp *o)
{
        const struct summary *sum = &o->ex->summary;
        const struct finding *cause = o->ex->finding_count > 0 ? &o->ex->findings[0] : NULL;
        bool failed = sum->status > 0 || sum->signal != NULL;
        json_t *moments = moments_json(o, o->root_moments), *list = json_array();

        for (size_t i = 0; i < o->ex->finding_count; i++)
                json_array_append_new(moments, finding_json(o, &o->ex->findings[i]));
        otlp_add_strings(list, "process.command_args", json_object_get(o->start, "command"));
        otlp_add_string(list, "process.working_directory", event_get_str(o->start, "cwd"));
        if (sum->status >= 0)
                otlp_add_int(list, "process.exit.code", sum->status);
        if (failed)
                otlp_add_string(list, "error.type",
                                cause != NULL         ? cause->code
                                : sum->signal != NULL ? sum->signal
                                                      : "exit_status");
        add(o, span_json(o, TIMELINE_NONE, json_string(""),
                         sum->relay ? "tapline relay" : otlp_command_name(o->start), KIND_INTERNAL,
                         o->timeline->start_us, o->timeline->end_us, list, moments,
                         status_json(failed, cause != NULL ? cause->summary : "")));
}

static void add_span(struct otlp *o, size_t index)
{
        const struct span *span = &o->timeline->spans[index];
        size_t parent = span->connection != TIMELINE_NONE ? span->connection : span->process;
        char *outcome = timeline_outcome(o->timeline, span);
        bool client = span->kind == SPAN_REQUEST || span->kind == SPAN_CONNECTION;

        add(o, span_json(o, index, span_id(o, parent), otlp_span_name(o->timeline, span),
                         client ? KIND_CLIENT : KIND_INTERNAL, span->start_us, span->end_us,
                         otlp_span_attributes(o->timeline, span),
                         span->kind == SPAN_PROCESS ? moments_json(o, o->moments[index])
                                                    : json_array(),
                         status_json(span->failed, outcome != NULL ? outcome : "")));
        free(outcome);
}

/* Hang each moment on its process, or on the root; walking back keeps them in order. */
static int link_moments(struct otlp *o)
{
        size_t count = o->timeline->count;

        o->root_moments = TIMELINE_NONE;
        o->moments = malloc((count + 1) * sizeof *o->moments);
        if (o->moments == NULL)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                o->moments[i] = TIMELINE_NONE;
        for (size_t i = count; i-- > 0;) {
                const struct span *span = &o->timeline->spans[i];
                size_t *head = span->process != TIMELINE_NONE ? &o->moments[span->process]
                                                              : &o->root_moments;

                if (!is_moment(span))
                        continue;
                o->moments[i] = *head;
                *head = i;
        }
        return 0;
}

static void write_all(struct otlp *o)
{
        make_trace_id(o);
        add_root(o);
        for (size_t i = 0; i < o->timeline->count && o->error == 0; i++)
                if (!is_moment(&o->timeline->spans[i]))
                        add_span(o, i);
        if (o->error == 0 && json_array_size(o->spans) > 0)
                write_line(o);
}

int report_otlp(const struct record_events *events, const struct explanation *ex, FILE *out)
{
        struct timeline timeline;
        struct otlp o = {.out = out, .timeline = &timeline, .ex = ex, .spans = json_array()};

        errno = 0;
        o.error = timeline_init(&timeline, events);
        for (size_t i = 0; i < events->count && o.start == NULL; i++)
                if (event_is(events->items[i], "run.start"))
                        o.start = events->items[i];
        if (o.error == 0)
                o.error = link_moments(&o);
        if (o.error == 0)
                write_all(&o);
        if (o.error == 0 && (fflush(out) != 0 || ferror(out)))
                o.error = errno != 0 ? -errno : -EIO;
        json_decref(o.spans);
        free(o.moments);
        timeline_fini(&timeline);
        return o.error;
}
