/* An index over a record's events: see facts.h. One function for each kind of event that matters,
 * in a table; they run in the order of the record, so each sees what was known at that time. */
#include "explain/facts.h"
#include "explain/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool event_field_is(const json_t *event, const char *key, const char *wanted)
{
        const char *value = event_get_str(event, key);

        return value != NULL && strcmp(value, wanted) == 0;
}

bool event_is(const json_t *event, const char *kind)
{
        return event_field_is(event, "event", kind);
}

static bool result_is(const json_t *event, const char *wanted)
{
        return event_field_is(event, "result", wanted);
}

struct process *facts_process(const struct facts *facts, int64_t pid)
{
        struct process *p;

        HASH_FIND(hh, facts->processes, &pid, sizeof pid, p);
        return p;
}

static struct process *new_process(struct facts *facts, int64_t pid, int64_t ppid)
{
        const struct process *parent = facts_process(facts, ppid);
        struct process *p = calloc(1, sizeof *p);

        if (p == NULL) {
                facts->oom = true;
                return NULL;
        }
        *p = (struct process){.pid = pid, .ppid = ppid, .next = facts->all_processes};
        p->tool = parent != NULL ? parent->tool : facts->tool;
        facts->all_processes = p;
        HASH_ADD(hh, facts->processes, pid, sizeof p->pid, p);
        facts->oom = facts->oom || p->hh.tbl == NULL;
        return p;
}

/* The process of an event; one that was forked and never announced itself is made up. */
static struct process *process_of(struct facts *facts, const json_t *event)
{
        int64_t pid = event_get_int(event, "pid", 0);
        struct process *p = pid > 0 ? facts_process(facts, pid) : NULL;

        return p != NULL || pid <= 0 ? p : new_process(facts, pid, 0);
}

char *facts_uncovered(const json_t *event)
{
        const char *target = event_get_str(event, "target"),
                   *reason = event_get_str(event, "reason");

        if (!event_is(event, "process.uncovered"))
                return NULL;
        return text_format("%s (%s)", target != NULL ? target : "a program",
                           reason != NULL ? reason : "unknown reason");
}

struct flow *facts_flow(const struct facts *facts, const json_t *event)
{
        int64_t id = event_get_int(event, "flow", 0);
        struct flow *flow;

        HASH_FIND(hh, facts->flows, &id, sizeof id, flow);
        return flow;
}

static struct flow *flow_of(struct facts *facts, const json_t *event)
{
        struct flow *flow = facts_flow(facts, event);
        int64_t id = event_get_int(event, "flow", 0);

        if (flow == NULL && id > 0) {
                flow = calloc(1, sizeof *flow);
                if (flow != NULL) {
                        flow->id = id;
                        HASH_ADD(hh, facts->flows, id, sizeof flow->id, flow);
                }
                if (flow == NULL || flow->hh.tbl == NULL) {
                        facts->oom = true;
                        free(flow);
                        return NULL;
                }
        }
        if (flow != NULL && flow->process == NULL)
                flow->process = process_of(facts, event);
        return flow;
}

const char *facts_name_of(const struct facts *facts, const char *host)
{
        struct alias *alias = NULL;

        if (host != NULL)
                HASH_FIND_STR(facts->aliases, host, alias);
        return alias != NULL ? alias->name : host;
}

/* "name:port", or "name" for port 0. */
static char *host_key(const char *name, int64_t port)
{
        return port > 0 ? text_format("%s:%lld", name, (long long)port) : strdup(name);
}

const struct host *facts_host(const struct facts *facts, const char *name, int64_t port)
{
        char *key = name != NULL ? host_key(facts_name_of(facts, name), port) : NULL;
        struct host *host = NULL;

        if (key != NULL)
                HASH_FIND_STR(facts->hosts, key, host);
        free(key);
        return host;
}

static struct host *new_host(struct facts *facts, char *key)
{
        struct host *host = calloc(1, sizeof *host);

        if (host != NULL && key != NULL) {
                *host = (struct host){key, -1, -1, -1, -1, {0}};
                HASH_ADD_KEYPTR(hh, facts->hosts, host->name, strlen(host->name), host);
                if (host->hh.tbl != NULL)
                        return host;
        }
        facts->oom = true;
        free(host);
        free(key);
        return NULL;
}

/* The host's entry for writing. NULL if it has no name. */
static struct host *host_of(struct facts *facts, const char *name, int64_t port)
{
        char *key = name != NULL ? host_key(facts_name_of(facts, name), port) : NULL;
        struct host *host = NULL;

        if (key == NULL)
                return NULL;
        HASH_FIND_STR(facts->hosts, key, host);
        if (host == NULL)
                return new_host(facts, key);
        free(key);
        return host;
}

static void on_end(struct facts *facts, const json_t *event)
{
        facts->end = event;
}

/* exec() keeps the pid and what was known of it ("sh mvn" becomes "java ..."); another parent
 * means that the number is used again. */
static void on_process(struct facts *facts, const json_t *event)
{
        int64_t pid = event_get_int(event, "pid", 0), ppid = event_get_int(event, "ppid", 0);
        const struct catalogue_tool *tool = tools_of_argv(
                &facts->tools, json_object_get(event, "argv"), event_get_str(event, "exe"));
        struct process *p = pid > 0 ? facts_process(facts, pid) : NULL;

        if (p != NULL && p->ppid != 0 && p->ppid != ppid) {
                HASH_DEL(facts->processes, p);
                p = NULL;
        }
        if (p == NULL && pid > 0)
                p = new_process(facts, pid, ppid);
        if (p == NULL)
                return;
        p->ppid = ppid;
        p->tool = tool != NULL ? tool : p->tool;
}

static void add_alias(struct facts *facts, const char *address, const char *name)
{
        struct alias *alias = NULL;
        char *copy;

        /* Everything on this machine shares loopback; the port tells it apart, not a name. */
        if (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0)
                return;
        HASH_FIND_STR(facts->aliases, address, alias);
        if (alias != NULL) {
                alias->name = name;
                return;
        }
        alias = calloc(1, sizeof *alias);
        copy = strdup(address);
        if (alias != NULL && copy != NULL) {
                *alias = (struct alias){.address = copy, .name = name};
                HASH_ADD_KEYPTR(hh, facts->aliases, copy, strlen(copy), alias);
                if (alias->hh.tbl != NULL)
                        return;
        }
        facts->oom = true;
        free(alias);
        free(copy);
}

static void on_lookup(struct facts *facts, const json_t *event)
{
        const json_t *addresses = json_object_get(event, "addresses");
        const char *name = event_get_str(event, "name");
        struct process *p = process_of(facts, event);
        struct host *host;

        if (p != NULL)
                p->lookups++;
        if (name == NULL || !result_is(event, "ok"))
                return;
        for (size_t i = 0; i < json_array_size(addresses); i++) {
                const char *address = json_string_value(json_array_get(addresses, i));

                if (address != NULL && strcmp(address, name) != 0)
                        add_alias(facts, address, name);
        }
        host = host_of(facts, name, 0);
        if (host != NULL)
                host->resolved_us = event_get_time_us(event);
}

static void on_connect(struct facts *facts, const json_t *event)
{
        struct flow *flow = flow_of(facts, event);
        struct process *p = process_of(facts, event);
        const char *name = event_get_str(event, "name");

        if (p != NULL)
                p->connects++;
        if (flow == NULL)
                return;
        flow->host = facts_name_of(facts, name != NULL ? name : event_get_str(event, "address"));
        flow->address = event_get_str(event, "address");
        flow->port = event_get_int(event, "port", 0);
}

static void on_upstream(struct facts *facts, const json_t *event)
{
        struct flow *flow = flow_of(facts, event);
        const char *name = event_get_str(event, "host");
        int64_t port = event_get_int(event, "port", 0);
        struct host *host;

        if (flow != NULL) {
                flow->upstream = event;
                name = flow->host != NULL ? flow->host : name;
                flow->host = flow->host != NULL ? flow->host : facts_name_of(facts, name);
                flow->port = flow->port > 0 ? flow->port : port;
        }
        if (!result_is(event, "connected"))
                return;
        host = host_of(facts, name, port);
        if (host != NULL)
                host->reached_us = event_get_time_us(event);
        host = host_of(facts, name, 0);
        if (host != NULL)
                host->resolved_us = host->reached_us = event_get_time_us(event);
}

static void on_tls(struct facts *facts, const json_t *event)
{
        struct flow *flow = facts_flow(facts, event);
        const char *side = event_get_str(event, "side"), *sni = event_get_str(event, "sni");
        struct host *host = host_of(facts, sni != NULL || flow == NULL ? sni : flow->host, 0);

        if (flow != NULL)
                flow->tls_failed = flow->tls_failed || result_is(event, "failed");
        if (host == NULL || side == NULL || !result_is(event, "ok"))
                return;
        if (strcmp(side, "origin") == 0)
                host->answered_us = event_get_time_us(event);
        else
                host->trusted_us = event_get_time_us(event);
}

static void on_request(struct facts *facts, const json_t *event)
{
        struct request *r = NULL;
        int64_t id = event_get_int(event, "request", -1);

        HASH_FIND(hh, facts->requests, &id, sizeof id, r);
        if (r != NULL || id < 0)
                return;
        r = calloc(1, sizeof *r);
        if (r != NULL) {
                *r = (struct request){.id = id, .event = event};
                HASH_ADD(hh, facts->requests, id, sizeof r->id, r);
                if (r->hh.tbl != NULL)
                        return;
        }
        facts->oom = true;
        free(r);
}

const json_t *facts_request(const struct facts *facts, const json_t *response)
{
        return facts_request_numbered(facts, event_get_int(response, "request", -1));
}

const json_t *facts_request_numbered(const struct facts *facts, int64_t id)
{
        struct request *r;

        HASH_FIND(hh, facts->requests, &id, sizeof id, r);
        return r != NULL ? r->event : NULL;
}

static void on_answer_ok(struct facts *facts, const struct flow *flow, const json_t *event)
{
        struct process *p =
                flow != NULL && flow->process ? flow->process : process_of(facts, event);
        struct host *host = flow != NULL ? host_of(facts, flow->host, 0) : NULL;

        if (p != NULL) {
                p->answers++;
                p->answered_us = event_get_time_us(event);
        }
        if (host != NULL)
                host->answered_us = host->trusted_us = event_get_time_us(event);
}

static void on_response(struct facts *facts, const json_t *event)
{
        struct flow *flow = flow_of(facts, event);
        int64_t status = event_get_int(event, "status", 0);

        if (flow != NULL)
                flow->responses++;
        if (status < 200 || status >= 400)
                return;
        if (flow != NULL)
                flow->answer = event;
        on_answer_ok(facts, flow, event);
}

static void on_body(struct facts *facts, const json_t *event)
{
        struct flow *flow = flow_of(facts, event);

        if (flow != NULL)
                flow->broken = flow->broken || !event_get_bool(event, "complete", true);
}

/* Where HTTP was not seen, bytes that came back count as an answer. */
static void on_close(struct facts *facts, const json_t *event)
{
        struct flow *flow = flow_of(facts, event);

        if (flow == NULL)
                return;
        flow->close = event;
        if (flow->responses > 0 || flow->tls_failed || !result_is(flow->upstream, "connected") ||
            event_get_int(event, "server_to_client", 0) <= 0)
                return;
        on_answer_ok(facts, flow, event);
}

/* The last answer below 400 that process had; found by walking back from the newest event. */
static const json_t *answer_before(const struct facts *facts, const struct process *p, size_t at)
{
        enum { LOOK_BACK = 2000 }; /* events; bounds the walk in a record of failures only */

        for (size_t n = 0; p != NULL && p->answers > 0 && at-- > 0 && n < LOOK_BACK; n++) {
                const json_t *event = facts->events->items[at];
                int64_t status = event_get_int(event, "status", 0);

                if (event_is(event, "http.response") && status >= 200 && status < 400 &&
                    event_get_int(event, "pid", 0) == p->pid)
                        return event;
        }
        return NULL;
}

static void on_file(struct facts *facts, const json_t *event, size_t at)
{
        struct process *p = process_of(facts, event);
        struct file_fault *grown =
                reallocarray(facts->faults, facts->fault_count + 1, sizeof *grown);

        if (grown == NULL) {
                facts->oom = true;
                return;
        }
        facts->faults = grown;
        grown[facts->fault_count++] = (struct file_fault){
                .event = event,
                .process = p,
                .tool = p != NULL ? p->tool : facts->tool,
                .answer = answer_before(facts, p, at),
        };
}

static const struct {
        const char *kind;
        void (*take)(struct facts *facts, const json_t *event);
} takers[] = {
        {"run.end", on_end},          {"process.start", on_process},  {"name.lookup", on_lookup},
        {"connect", on_connect},      {"upstream", on_upstream},      {"tls", on_tls},
        {"http.request", on_request}, {"http.response", on_response}, {"http.body", on_body},
        {"flow.close", on_close},
};

static void take(struct facts *facts, size_t at)
{
        const json_t *event = facts->events->items[at];

        if (event_is(event, "file.failure"))
                on_file(facts, event, at);
        for (size_t i = 0; i < sizeof takers / sizeof takers[0]; i++)
                if (event_is(event, takers[i].kind))
                        takers[i].take(facts, event);
}

static const json_t *find_start(const struct record_events *events)
{
        for (size_t i = 0; i < events->count; i++)
                if (event_is(events->items[i], "run.start"))
                        return events->items[i];
        return NULL;
}

int facts_init(struct facts *facts, const struct record_events *events,
               const struct catalogue *catalogue)
{
        *facts = (struct facts){.events = events, .start = find_start(events)};
        if (tools_init(&facts->tools, catalogue, facts->start) < 0)
                return -ENOMEM;
        facts->tool = tools_of_argv(&facts->tools, json_object_get(facts->start, "command"), NULL);
        for (size_t i = 0; i < events->count; i++)
                take(facts, i);
        return facts->oom ? -ENOMEM : 0;
}

static void free_processes(struct facts *facts)
{
        HASH_CLEAR(hh, facts->processes);
        while (facts->all_processes != NULL) {
                struct process *p = facts->all_processes;

                facts->all_processes = p->next;
                free(p);
        }
}

void facts_fini(struct facts *facts)
{
        struct host *host, *next_host;
        struct alias *alias, *next_alias;
        struct flow *flow, *next_flow;
        struct request *request, *next_request;

        free_processes(facts);
        HASH_ITER(hh, facts->hosts, host, next_host)
        {
                HASH_DEL(facts->hosts, host);
                free(host->name);
                free(host);
        }
        HASH_ITER(hh, facts->aliases, alias, next_alias)
        {
                HASH_DEL(facts->aliases, alias);
                free(alias->address);
                free(alias);
        }
        HASH_ITER(hh, facts->flows, flow, next_flow)
        {
                HASH_DEL(facts->flows, flow);
                free(flow);
        }
        HASH_ITER(hh, facts->requests, request, next_request)
        {
                HASH_DEL(facts->requests, request);
                free(request);
        }
        free(facts->faults);
        tools_fini(&facts->tools);
        *facts = (struct facts){0};
}

bool facts_worked(const struct facts *facts)
{
        return event_get_int(facts->end, "status", -1) == 0 && !event_get_str(facts->end, "signal");
}

bool facts_failed(const struct facts *facts)
{
        return event_get_int(facts->end, "status", 0) != 0 || event_get_str(facts->end, "signal");
}
