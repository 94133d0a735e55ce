/* Spans out of events: see timeline.h. Each kind of event begins a span, adds to one, or ends one:
 * a table says which. */
#include "explain/timeline.h"
#include "explain/line.h"
#include "explain/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[SPAN_KIND_COUNT] = {
        [SPAN_PROCESS] = "process", [SPAN_CONNECTION] = "connection",
        [SPAN_REQUEST] = "request", [SPAN_LOOKUP] = "name",
        [SPAN_LOCK] = "lock",       [SPAN_FILE] = "file",
        [SPAN_NOTE] = "note",
};

const char *timeline_kind_name(enum span_kind kind)
{
        return kind_names[kind];
}

static int64_t duration_us(const json_t *event, const char *key)
{
        const json_t *value = json_object_get(event, key);
        double ms = json_is_number(value) ? json_number_value(value) : 0;

        return ms > 0 && ms < 1e12 ? (int64_t)(ms * 1000) : 0;
}

static struct span *find(const struct timeline *t, enum span_kind kind, int64_t id)
{
        struct span_key key = {kind, id};
        struct span *span;

        HASH_FIND(hh, t->by_key, &key, sizeof key, span);
        return span;
}

/* Room is there: an event begins its own span, its connection's and its process's at most. */
static struct span *begin(struct timeline *t, enum span_kind kind, int64_t id, int64_t at_us)
{
        struct span *span = &t->spans[t->count];

        *span = (struct span){.key = {kind, id > 0 ? id : -(int64_t)t->count - 1},
                              .kind = kind,
                              .process = TIMELINE_NONE,
                              .connection = TIMELINE_NONE,
                              .first = TIMELINE_NONE,
                              .last = TIMELINE_NONE,
                              .start_us = at_us,
                              .end_us = at_us,
                              .part_us = -1};
        HASH_ADD(hh, t->by_key, key, sizeof span->key, span);
        t->count++;
        return span;
}

static size_t index_of(const struct timeline *t, const struct span *span)
{
        return span != NULL ? (size_t)(span - t->spans) : TIMELINE_NONE;
}

static void append(struct timeline *t, struct span *span, size_t at, int64_t now_us)
{
        if (span->first == TIMELINE_NONE)
                span->first = at;
        else
                t->next[span->last] = at;
        span->last = at;
        span->end_us = now_us > span->end_us ? now_us : span->end_us;
}

/* The span of an event's process; a process that never announced itself gets one. */
static struct span *process_of(struct timeline *t, const json_t *event, int64_t now_us)
{
        int64_t pid = event_get_int(event, "pid", 0);
        struct span *span = pid > 0 ? find(t, SPAN_PROCESS, pid) : NULL;

        if (span == NULL && pid > 0) {
                span = begin(t, SPAN_PROCESS, pid, now_us);
                span->pid = pid;
        }
        if (span != NULL && span->exe == NULL)
                span->exe = event_get_str(event, "exe");
        return span;
}

/* Begin the span of an event that is about a process. */
static struct span *begin_of(struct timeline *t, enum span_kind kind, int64_t id,
                             const json_t *event, int64_t now_us)
{
        struct span *process = process_of(t, event, now_us);
        struct span *span = begin(t, kind, id, now_us);

        span->pid = event_get_int(event, "pid", 0);
        span->exe = event_get_str(event, "exe");
        span->process = index_of(t, process);
        if (process != NULL)
                process->children++;
        return span;
}

/* exec() keeps the pid; another parent means that the number is used again. */
static void on_process(struct timeline *t, size_t at, int64_t now_us)
{
        const json_t *event = t->events->items[at];
        int64_t pid = event_get_int(event, "pid", 0), ppid = event_get_int(event, "ppid", 0);
        struct span *span = find(t, SPAN_PROCESS, pid);

        if (pid <= 0)
                return;
        if (span != NULL && span->first != TIMELINE_NONE &&
            event_get_int(t->events->items[span->first], "ppid", 0) != ppid) {
                HASH_DEL(t->by_key, span);
                span = NULL;
        }
        if (span == NULL)
                span = process_of(t, event, now_us);
        span->exe = event_get_str(event, "exe");
        span->process = index_of(t, ppid > 0 ? find(t, SPAN_PROCESS, ppid) : NULL);
        append(t, span, at, now_us);
}

/* The connection of an event, begun here if the record has no connect for it. */
static struct span *connection_of(struct timeline *t, const json_t *event, int64_t now_us)
{
        int64_t flow = event_get_int(event, "flow", 0);
        struct span *span = flow > 0 ? find(t, SPAN_CONNECTION, flow) : NULL;

        if (span == NULL && flow > 0) {
                span = begin_of(t, SPAN_CONNECTION, flow, event, now_us);
                span->open = true;
        }
        return span;
}

static void on_connect(struct timeline *t, size_t at, int64_t now_us)
{
        const json_t *event = t->events->items[at];
        struct span *span = connection_of(t, event, now_us);

        if (span == NULL) /* it did not come to the relay: this is all that is known */
                span = begin_of(t, SPAN_CONNECTION, 0, event, now_us);
        append(t, span, at, now_us);
}

static void on_flow(struct timeline *t, size_t at, int64_t now_us)
{
        const json_t *event = t->events->items[at];
        struct span *span = connection_of(t, event, now_us);
        bool upstream = event_is(event, "upstream");

        if (span == NULL)
                return;
        append(t, span, at, now_us);
        if (upstream) {
                span->part_us = now_us;
                span->failed = event_field_is(event, "result", "failed");
        } else if (event_is(event, "tls")) {
                span->failed = span->failed || event_field_is(event, "result", "failed");
        }
}

static void on_close(struct timeline *t, size_t at, int64_t now_us)
{
        const json_t *event = t->events->items[at];
        struct span *span = connection_of(t, event, now_us);

        if (span == NULL)
                return;
        append(t, span, at, now_us);
        span->open = false;
        span->failed = span->failed || event_field_is(event, "how", "error") ||
                       event_field_is(event, "how", "refused");
}

static void on_request(struct timeline *t, size_t at, int64_t now_us)
{
        const json_t *event = t->events->items[at];
        struct span *connection = find(t, SPAN_CONNECTION, event_get_int(event, "flow", 0));
        int64_t id = event_get_int(event, "request", 0);
        struct span *span = begin_of(t, SPAN_REQUEST, find(t, SPAN_REQUEST, id) == NULL ? id : 0,
                                     event, now_us);

        span->connection = index_of(t, connection);
        span->open = true;
        append(t, span, at, now_us);
}

static void on_answer(struct timeline *t, size_t at, int64_t now_us)
{
        const json_t *event = t->events->items[at];
        struct span *span = find(t, SPAN_REQUEST, event_get_int(event, "request", 0));
        bool head = event_is(event, "http.response");

        if (span == NULL)
                return;
        append(t, span, at, now_us);
        span->open = false;
        if (head && span->part_us < 0)
                span->part_us = now_us;
        span->failed = span->failed || event_get_int(event, "status", 0) >= 400 ||
                       !event_get_bool(event, "complete", true);
}

/* Spans of one event, which comes at their end. */
static void on_moment(struct timeline *t, size_t at, int64_t now_us, enum span_kind kind,
                      int64_t took_us, bool failed)
{
        struct span *span = begin_of(t, kind, 0, t->events->items[at], now_us);

        append(t, span, at, now_us);
        span->start_us -= took_us;
        span->failed = failed;
}

static void on_lookup(struct timeline *t, size_t at, int64_t now_us)
{
        const json_t *event = t->events->items[at];

        on_moment(t, at, now_us, SPAN_LOOKUP, duration_us(event, "duration_ms"),
                  !event_field_is(event, "result", "ok"));
}

static void on_lock(struct timeline *t, size_t at, int64_t now_us)
{
        const json_t *event = t->events->items[at];

        on_moment(t, at, now_us, SPAN_LOCK, duration_us(event, "waited_ms"),
                  !event_field_is(event, "state", "granted"));
}

static void on_file(struct timeline *t, size_t at, int64_t now_us)
{
        on_moment(t, at, now_us, SPAN_FILE, 0, true);
}

static void on_note(struct timeline *t, size_t at, int64_t now_us)
{
        on_moment(t, at, now_us, SPAN_NOTE, 0, false);
}

static const struct {
        const char *event;
        void (*take)(struct timeline *t, size_t at, int64_t now_us);
} takers[] = {
        {"process.start", on_process}, {"process.uncovered", on_note}, {"name.lookup", on_lookup},
        {"connect", on_connect},       {"upstream", on_flow},          {"tls", on_flow},
        {"http.goaway", on_flow},      {"flow.close", on_close},       {"http.request", on_request},
        {"http.response", on_answer},  {"http.body", on_answer},       {"file.failure", on_file},
        {"lock.wait", on_lock},        {"tool.claim", on_note},        {"relay.note", on_note},
};

static void take(struct timeline *t, size_t at)
{
        const json_t *event = t->events->items[at];
        int64_t now_us = event_get_time_us(event);

        if (now_us < 0)
                return;
        t->start_us = t->start_us < 0 || now_us < t->start_us ? now_us : t->start_us;
        t->end_us = now_us > t->end_us ? now_us : t->end_us;
        for (size_t i = 0; i < sizeof takers / sizeof takers[0]; i++)
                if (event_is(event, takers[i].event))
                        takers[i].take(t, at, now_us);
}

/* What has no end in the record lasts as long as what it is part of; so does a process. */
static void settle(struct timeline *t)
{
        for (size_t i = 0; i < t->count; i++)
                if (t->spans[i].open && t->spans[i].kind == SPAN_CONNECTION)
                        t->spans[i].end_us = t->end_us;
        for (size_t i = 0; i < t->count; i++) {
                struct span *span = &t->spans[i];
                int64_t end = span->connection != TIMELINE_NONE ? t->spans[span->connection].end_us
                                                                : t->end_us;

                if (span->open && span->kind == SPAN_REQUEST && end > span->end_us)
                        span->end_us = end;
        }
        for (size_t i = t->count; i-- > 0;) {
                struct span *span = &t->spans[i], *up;

                up = span->process != TIMELINE_NONE ? &t->spans[span->process] : NULL;
                if (up != NULL && up->end_us < span->end_us)
                        up->end_us = span->end_us;
        }
}

int timeline_init(struct timeline *timeline, const struct record_events *events)
{
        *timeline = (struct timeline){.events = events, .start_us = -1, .end_us = -1};
        timeline->spans = calloc(3 * events->count + 1, sizeof *timeline->spans);
        timeline->next = malloc((events->count + 1) * sizeof *timeline->next);
        if (timeline->spans == NULL || timeline->next == NULL)
                return -ENOMEM;
        for (size_t i = 0; i < events->count; i++)
                timeline->next[i] = TIMELINE_NONE;
        for (size_t i = 0; i < events->count; i++)
                take(timeline, i);
        settle(timeline);
        return 0;
}

void timeline_fini(struct timeline *timeline)
{
        HASH_CLEAR(hh, timeline->by_key);
        free(timeline->spans);
        free(timeline->next);
        *timeline = (struct timeline){0};
}

const json_t *timeline_event(const struct timeline *timeline, const struct span *span,
                             const char *kind)
{
        const json_t *found = NULL;

        for (size_t i = span->first; i != TIMELINE_NONE; i = timeline->next[i])
                if (event_is(timeline->events->items[i], kind))
                        found = timeline->events->items[i];
        return found;
}

char *timeline_title(const struct timeline *timeline, const struct span *span)
{
        const json_t *process = timeline_event(timeline, span, "process.start");

        if (span->kind == SPAN_PROCESS && process == NULL)
                return strdup(span->exe != NULL ? span->exe : "");
        return line_subject(process != NULL ? process : timeline->events->items[span->first]);
}

static char *request_outcome(const struct timeline *t, const struct span *span)
{
        const json_t *answer = timeline_event(t, span, "http.response");
        const json_t *body = timeline_event(t, span, "http.body");
        char *head = answer != NULL ? line_subject(answer) : strdup("no answer");
        char *rest = line_outcome(body), *all = NULL;

        if (head != NULL && rest != NULL)
                all = text_format("%s%s%s", head, *rest != '\0' ? ", " : "", rest);
        free(head);
        free(rest);
        return all;
}

static char *connection_outcome(const struct timeline *t, const struct span *span)
{
        static const char *const kinds[] = {"upstream", "tls", "flow.close"};
        const json_t *event = NULL;

        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
                const json_t *last = timeline_event(t, span, kinds[i]);

                event = last != NULL ? last : event;
                if (event_field_is(last, "result", "failed"))
                        break;
        }
        return line_outcome(event != NULL ? event : timeline_event(t, span, "connect"));
}

char *timeline_outcome(const struct timeline *timeline, const struct span *span)
{
        if (span->first == TIMELINE_NONE || span->kind == SPAN_PROCESS)
                return strdup("");
        if (span->kind == SPAN_REQUEST)
                return request_outcome(timeline, span);
        if (span->kind == SPAN_CONNECTION)
                return connection_outcome(timeline, span);
        return line_outcome(timeline->events->items[span->first]);
}
