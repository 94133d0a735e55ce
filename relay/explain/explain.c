/* From a record's events to an explanation: counts, rules, and what is left to tell when no rule
 * found a cause. See explain.h. */
#include "explain/claims.h"
#include "explain/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 12 };

/* In this order: rules_files weighs against what those before it found. */
static void (*const rules[])(const struct facts *facts, struct findings *findings) = {
        rules_network,  rules_proxy, rules_route, rules_tls, rules_http,
        rules_transfer, rules_files, rules_locks, rules_end, rules_client,
};

static bool is_failed_lookup(const json_t *event)
{
        return event_is(event, "name.lookup") && event_get_str(event, "result") != NULL &&
               !event_field_is(event, "result", "ok");
}

static bool is_failed_upstream(const json_t *event)
{
        return event_is(event, "upstream") && event_field_is(event, "result", "failed");
}

static bool is_status(const json_t *event, int64_t low, int64_t high)
{
        int64_t status = event_get_int(event, "status", 0);

        return event_is(event, "http.response") && status >= low && status <= high;
}

static void count_event(struct summary *s, const json_t *event)
{
        int64_t folded = event_get_int(event, "count", 0);

        s->connections += event_is(event, "connect") && !event_field_is(event, "kind", "udp");
        s->requests += event_is(event, "http.request");
        s->responses_ok += is_status(event, 200, 399);
        s->network_failures += is_failed_lookup(event) || is_failed_upstream(event);
        if (event_is(event, "file.failure"))
                s->file_failures += 1 + (size_t)(folded > 0 ? folded : 0);
}

/* Returns 0 or -ENOMEM. */
static int summarize(const struct facts *facts, struct summary *s)
{
        const char *signal = event_get_str(facts->end, "signal");

        for (size_t i = 0; i < facts->events->count; i++)
                count_event(s, facts->events->items[i]);
        for (const struct process *p = facts->all_processes; p != NULL; p = p->next)
                s->processes++;
        s->failures = s->file_failures + s->network_failures;
        s->ended = facts->end != NULL;
        s->relay = event_field_is(facts->start, "mode", "relay");
        s->relay_lost = event_field_is(facts->end, "relay", "lost");
        s->status = (int)event_get_int(facts->end, "status", -1);
        s->command = text_command(json_object_get(facts->start, "command"));
        s->signal = signal != NULL ? strdup(signal) : NULL;
        return s->command == NULL || (signal != NULL && s->signal == NULL) ? -ENOMEM : 0;
}

static void add_seen_connection(struct text_list *seen, const json_t *event)
{
        const char *host = event_get_str(event, "host");
        char *to = text_endpoint(host ? host : "a host", event_get_int(event, "port", 0));

        text_add_at(seen, event, "connection to %s failed: %s", to ? to : "a host",
                    text_errno(event_get_str(event, "errno")));
        free(to);
}

static void add_seen_tls(struct text_list *seen, const json_t *event)
{
        const char *verify = event_get_str(event, "verify"), *error = event_get_str(event, "error");

        verify = verify != NULL ? verify : error;
        text_add_at(seen, event, "TLS with the %s failed: %s",
                    event_field_is(event, "side", "client") ? "client" : "origin",
                    verify != NULL ? verify : "no reason given");
}

static void add_seen_file(struct text_list *seen, const json_t *event)
{
        const char *error = event_get_str(event, "errno"), *path = event_get_str(event, "path");
        const char *call = event_get_str(event, "call");

        text_add_at(seen, event, "%s(\"%s\") failed: %s (%s)", call ? call : "a call",
                    path ? path : "?", text_errno(error), error ? error : "?");
}

/* One line about an event that went wrong, if it did. */
static void add_seen(struct text_list *seen, const json_t *event)
{
        const char *url = event_get_str(event, "url"), *name = event_get_str(event, "name");

        if (event_is(event, "file.failure"))
                add_seen_file(seen, event);
        else if (is_failed_upstream(event))
                add_seen_connection(seen, event);
        else if (is_failed_lookup(event))
                text_add_at(seen, event, "lookup of %s failed: %s", name ? name : "a name",
                            event_get_str(event, "result"));
        else if (event_is(event, "tls") && event_field_is(event, "result", "failed"))
                add_seen_tls(seen, event);
        else if (is_status(event, 400, 999))
                text_add_at(seen, event, "%lld for %s",
                            (long long)event_get_int(event, "status", 0), url ? url : "a request");
}

/* The same line again and again says nothing new; the time in front of it does not count. */
static bool is_repeated(const struct text_list *seen)
{
        enum { TIME_LEN = 14 };
        const char *last = seen->count > 0 ? seen->items[seen->count - 1] : NULL;

        for (size_t i = 0; last != NULL && i + 1 < seen->count; i++)
                if (strlen(last) > TIME_LEN && strlen(seen->items[i]) > TIME_LEN &&
                    strcmp(seen->items[i] + TIME_LEN, last + TIME_LEN) == 0)
                        return true;
        return false;
}

/* What went wrong last is nearest to the end of the run: walk back, then turn the list round. */
static int look_back(const struct facts *facts, struct explanation *out)
{
        struct text_list seen = {0};

        for (size_t i = facts->events->count; i-- > 0 && seen.count < SEEN_MAX;) {
                add_seen(&seen, facts->events->items[i]);
                if (is_repeated(&seen))
                        text_drop_last(&seen);
        }
        for (size_t i = 0; i < seen.count / 2; i++) {
                char *line = seen.items[i];

                seen.items[i] = seen.items[seen.count - 1 - i];
                seen.items[seen.count - 1 - i] = line;
        }
        out->seen = seen.items;
        out->seen_count = seen.count;
        return seen.oom ? -ENOMEM : 0;
}

/* A program may have run many times: each is named once. */
static int list_uncovered(const struct facts *facts, struct explanation *out)
{
        struct text_list names = {0};

        for (size_t i = 0; i < facts->events->count && !names.oom; i++) {
                char *name = facts_uncovered(facts->events->items[i]);

                if (name != NULL)
                        text_add_once(&names, name);
                free(name);
        }
        out->uncovered = names.items;
        out->uncovered_count = names.count;
        return names.oom ? -ENOMEM : 0;
}

static int find(const struct facts *facts, struct explanation *out)
{
        struct findings findings = {0};
        int result;

        for (size_t i = 0; !facts_worked(facts) && i < sizeof rules / sizeof rules[0]; i++)
                rules[i](facts, &findings);
        result = findings_settle(&findings, out);
        if (result == 0 && !facts_worked(facts))
                result = look_back(facts, out);
        return result;
}

int explain(const struct record_events *events, const struct catalogue *catalogue,
            struct explanation *out)
{
        struct facts facts;
        int result = facts_init(&facts, events, catalogue);

        *out = (struct explanation){.truncated = events->truncated, .bad_lines = events->bad_lines};
        if (result == 0)
                result = summarize(&facts, &out->summary);
        if (result == 0)
                result = list_uncovered(&facts, out);
        if (result == 0)
                result = find(&facts, out);
        if (result == 0 && !facts_worked(&facts))
                result = claims_explain(events, catalogue, out);
        facts_fini(&facts);
        if (result < 0)
                explanation_free(out);
        return result;
}

static void finding_fini(struct finding *f)
{
        for (size_t i = 0; i < f->evidence_count; i++)
                free(f->evidence[i]);
        for (size_t i = 0; i < f->command_count; i++)
                free(f->commands[i]);
        free(f->evidence);
        free(f->commands);
        free(f->summary);
        free(f->advice);
}

void explanation_free(struct explanation *ex)
{
        for (size_t i = 0; i < ex->finding_count; i++)
                finding_fini(&ex->findings[i]);
        for (size_t i = 0; i < ex->seen_count; i++)
                free(ex->seen[i]);
        free(ex->findings);
        for (size_t i = 0; i < ex->uncovered_count; i++)
                free(ex->uncovered[i]);
        free(ex->uncovered);
        for (size_t i = 0; i < ex->claim_count; i++)
                free(ex->claims[i]);
        free(ex->claims);
        free(ex->seen);
        free(ex->summary.command);
        free(ex->summary.signal);
        *ex = (struct explanation){0};
}

const char *severity_name(enum severity severity)
{
        static const char *const names[] = {"note", "warning", "error"};

        return names[severity];
}

const char *confidence_name(enum confidence confidence)
{
        static const char *const names[] = {"possible", "likely", "certain"};

        return names[confidence];
}
