/* Rules about time and completeness: answers that do not begin, bodies that stop or end too early,
 * proxies that take too long, requests repeated without end. What a later attempt made good does
 * not count. */
#include "explain/answers.h"
#include "explain/netfault.h"

#include <stdlib.h>
#include <string.h>

enum {
        PATIENCE_MS = 3000, /* who gives up earlier did not wait */
        STORM_MIN = 10,     /* requests for one URL: clients retry three to six times */
};

struct answered {
        int64_t id;
        UT_hash_handle hh;
};

static double ms_of(const json_t *event, const char *key)
{
        return json_number_value(json_object_get(event, key));
}

static void add(struct netfaults *all, enum finding_code code, const struct flow *flow,
                const json_t *event)
{
        netfault_add(all, &(struct netfault_item){
                                  .code = code,
                                  .host = flow != NULL ? flow->host : NULL,
                                  .port = flow != NULL ? flow->port : 0,
                                  .event = event,
                                  .certain = true,
                          });
}

/* ---- bodies ---- */

/* The program may end its half and leave: then the host's half ends whenever the relay does. */
static bool client_left(const struct flow *flow, const json_t *event)
{
        return event_field_is(event, "reason", "client closed") ||
               (flow != NULL && flow->close != NULL &&
                !event_field_is(flow->close, "first", "server"));
}

static bool differs(const json_t *event, const char *real, const char *stated)
{
        const char *wanted = event_get_str(event, stated);

        return wanted != NULL && event_get_str(event, real) != NULL &&
               !event_field_is(event, real, wanted);
}

static enum finding_code code_of_body(const struct flow *flow, const json_t *event)
{
        if (event_get_bool(event, "complete", true))
                return differs(event, "sha256", "stated_sha256") ||
                                       differs(event, "digest", "index_digest")
                               ? FINDING_DIGEST_MISMATCH
                               : FINDING_CODE_COUNT;
        if (!client_left(flow, event))
                return FINDING_TRUNCATED_ANSWER;
        if (ms_of(event, "silent_ms") >= PATIENCE_MS)
                return FINDING_STALLED_DOWNLOAD;
        return ms_of(event, "duration_ms") >= PATIENCE_MS ? FINDING_SLOW_ORIGIN
                                                          : FINDING_CODE_COUNT;
}

static void take_body(const struct facts *facts, const struct answers *answers, const json_t *event,
                      struct netfaults *all)
{
        const struct answer *a = answers_of_url(answers, answers_url(facts, event));
        enum finding_code code = code_of_body(facts_flow(facts, event), event);
        bool digest = code == FINDING_DIGEST_MISMATCH;

        if (code == FINDING_CODE_COUNT || event_get_int(event, "status", 0) >= 400 ||
            (a != NULL && a->whole_us > event_get_time_us(event) && !digest))
                return;
        add(all, code, facts_flow(facts, event), event);
}

/* ---- answers that did not begin ---- */

static struct answered *answered_ids(const struct facts *facts, bool *oom)
{
        struct answered *all = NULL, *one;

        for (size_t i = 0; i < facts->events->count; i++) {
                int64_t id = event_get_int(facts->events->items[i], "request", -1);

                if (id < 0 || !event_is(facts->events->items[i], "http.response"))
                        continue;
                HASH_FIND(hh, all, &id, sizeof id, one);
                if (one != NULL)
                        continue;
                one = calloc(1, sizeof *one);
                if (one != NULL) {
                        one->id = id;
                        HASH_ADD(hh, all, id, sizeof one->id, one);
                        if (one->hh.tbl != NULL)
                                continue;
                }
                *oom = true;
                free(one);
        }
        return all;
}

static void take_request(const struct facts *facts, const struct answers *answers,
                         const struct answered *ids, const json_t *event, struct netfaults *all)
{
        const struct answer *a = answers_of_url(answers, answers_url(facts, event));
        const struct flow *flow = facts_flow(facts, event);
        int64_t id = event_get_int(event, "request", -1), at = event_get_time_us(event);
        const struct answered *answered;

        HASH_FIND(hh, ids, &id, sizeof id, answered);
        /* One half-closed by the program stays open until the relay stops. */
        if (answered != NULL || flow == NULL || flow->close == NULL ||
            event_field_is(flow->close, "first", "server") ||
            event_get_time_us(flow->close) - at < PATIENCE_MS * 1000 ||
            (a != NULL && a->good_us > at))
                return;
        add(all, FINDING_SLOW_ORIGIN, flow, event);
}

/* ---- connections that the program did not wait for ---- */

static void take_close(const struct facts *facts, const json_t *event, struct netfaults *all)
{
        const struct flow *flow = facts_flow(facts, event);
        const char *upstream = event_get_str(facts->start, "upstream");
        const struct host *host;

        if (flow == NULL || flow->upstream != NULL || flow->host == NULL ||
            !event_field_is(event, "first", "client") || ms_of(event, "duration_ms") < PATIENCE_MS)
                return;
        host = facts_host(facts, flow->host, flow->port);
        if (host != NULL && host->reached_us > netfault_began_us(event))
                return;
        add(all,
            upstream != NULL                                     ? FINDING_SLOW_PROXY
            : netfault_is_ipv6(facts, flow->address, flow->host) ? FINDING_IPV6_BROKEN
                                                                 : FINDING_CONNECTION_TIMED_OUT,
            flow, event);
}

/* ---- words ---- */

static char *summary_of(const struct facts *facts, const struct netfault *group, const char *hosts)
{
        const json_t *event = group->events[0];
        const char *url = answers_url(facts, event), *via = event_get_str(facts->start, "upstream");
        const char *reason = event_get_str(event, "reason");

        switch (group->code) {
        case FINDING_TRUNCATED_ANSWER:
                return text_format("%s broke off the download of %s after %lld bytes (%s).", hosts,
                                   url != NULL ? url : "a file",
                                   (long long)event_get_int(event, "bytes", 0),
                                   reason != NULL ? reason : "no reason given");
        case FINDING_STALLED_DOWNLOAD:
                return text_format("The download of %s from %s stopped after %lld bytes, and the "
                                   "program gave up after %.0f s without a byte.",
                                   url != NULL ? url : "a file", hosts,
                                   (long long)event_get_int(event, "bytes", 0),
                                   ms_of(event, "silent_ms") / 1000);
        case FINDING_DIGEST_MISMATCH:
                return text_format("%s delivered another file than the one stated for %s.", hosts,
                                   url != NULL ? url : "it");
        case FINDING_SLOW_PROXY:
                return text_format("The proxy %s took so long for %s that the program gave up.",
                                   via != NULL ? via : "?", hosts);
        case FINDING_IPV6_BROKEN:
                return text_format("%s does not answer by IPv6, and could be reached by IPv4: the "
                                   "program gave up waiting after %.0f s.",
                                   hosts, ms_of(event, "duration_ms") / 1000);
        case FINDING_CONNECTION_TIMED_OUT:
                return text_format("%s does not answer: the program gave up waiting for the "
                                   "connection after %.0f s.",
                                   hosts, ms_of(event, "duration_ms") / 1000);
        default:
                return event_is(event, "http.body")
                               ? text_format("%s sends so slowly that the program gave up: %lld "
                                             "bytes of %s in %.0f s.",
                                             hosts, (long long)event_get_int(event, "bytes", 0),
                                             url != NULL ? url : "a file",
                                             ms_of(event, "duration_ms") / 1000)
                               : text_format("%s took so long to answer that the program gave up.",
                                             hosts);
        }
}

/* What came, and who stated what. */
static void add_digests(struct draft *d, const struct facts *facts, const json_t *event,
                        const char *url)
{
        const json_t *page =
                facts_request_numbered(facts, event_get_int(event, "index_request", -1));
        const char *index = event_get_str(page, "url");
        long long bytes = event_get_int(event, "bytes", 0);

        if (differs(event, "sha256", "stated_sha256")) {
                text_add_at(&d->evidence, event, "%s arrived whole, %lld bytes, sha256:%s", url,
                            bytes, event_get_str(event, "sha256"));
                text_add(&d->evidence, "its own head states sha256:%s",
                         event_get_str(event, "stated_sha256"));
        }
        if (!differs(event, "digest", "index_digest"))
                return;
        text_add_at(&d->evidence, event, "%s arrived whole, %lld bytes, %s", url, bytes,
                    event_get_str(event, "digest"));
        text_add_at(&d->evidence, page != NULL ? page : event, "the index, %s, states %s",
                    index != NULL ? index : "a page", event_get_str(event, "index_digest"));
}

static void add_body_line(struct draft *d, const struct facts *facts, const json_t *event,
                          const char *url)
{
        const char *reason = event_get_str(event, "reason");

        if (d->code == FINDING_DIGEST_MISMATCH) {
                add_digests(d, facts, event, url);
                return;
        }
        text_add_at(&d->evidence, event, "%s: %lld bytes in %.1f s, then %s%s", url,
                    (long long)event_get_int(event, "bytes", 0), ms_of(event, "duration_ms") / 1000,
                    d->code == FINDING_TRUNCATED_ANSWER && reason != NULL ? reason
                                                                          : "the program ended it",
                    d->code == FINDING_STALLED_DOWNLOAD ? " because nothing came any more" : "");
}

static void add_line(struct draft *d, const struct facts *facts, const json_t *event)
{
        const struct flow *flow = facts_flow(facts, event);
        const char *url = answers_url(facts, event), *method = event_get_str(event, "method");
        char *to = text_endpoint(flow != NULL && flow->host ? flow->host : "the host",
                                 flow != NULL ? flow->port : 0);

        if (event_is(event, "http.body"))
                add_body_line(d, facts, event, url != NULL ? url : "an answer");
        else if (event_is(event, "flow.close"))
                text_add_at(&d->evidence, event,
                            "connection to %s given up by the program after %.1f s, before it was "
                            "made",
                            to ? to : "?", ms_of(event, "duration_ms") / 1000);
        else if (flow != NULL)
                text_add_at(&d->evidence, event,
                            "%s %s, no answer, connection closed by the program %.1f s later",
                            method != NULL ? method : "request", url,
                            (double)(event_get_time_us(flow->close) - event_get_time_us(event)) /
                                    1e6);
        free(to);
}

/* What makes common tools wait longer: each ignores the others' variables. */
static void add_patience(struct draft *d)
{
        text_add(&d->commands, "export PIP_DEFAULT_TIMEOUT=120 UV_HTTP_TIMEOUT=120 "
                               "POETRY_REQUESTS_TIMEOUT=120 npm_config_fetch_timeout=120000 "
                               "CARGO_HTTP_TIMEOUT=120");
}

static void report_group(const struct facts *facts, const struct netfault *group,
                         struct findings *findings)
{
        struct draft *d = findings_add(findings, group->code, group->events[0]);
        char *hosts = netfault_hosts(group);

        if (d != NULL && hosts != NULL) {
                d->confidence =
                        group->code == FINDING_SLOW_PROXY ? CONFIDENCE_LIKELY : d->confidence;
                if (!facts_failed(facts)) /* a relay's record, or one without its end */
                        d->severity = SEVERITY_WARNING;
                d->summary = summary_of(facts, group, hosts);
                for (size_t i = 0; i < group->count && i < EVIDENCE_MAX - 1; i++)
                        add_line(d, facts, group->events[i]);
                netfault_proof(d, facts, group);
                if (group->code == FINDING_SLOW_ORIGIN || group->code == FINDING_SLOW_PROXY ||
                    group->code == FINDING_STALLED_DOWNLOAD)
                        add_patience(d);
        }
        free(hosts);
}

static void rule_storm(const struct answers *answers, struct findings *findings)
{
        const struct answer *worst = NULL;
        struct draft *d;

        for (const struct answer *a = answers->urls; a != NULL; a = a->hh.next)
                if (a->requests >= STORM_MIN && a->redirects < a->requests / 2 &&
                    (worst == NULL || a->requests > worst->requests))
                        worst = a;
        if (worst == NULL ||
            (d = findings_add(findings, FINDING_RETRY_STORM, worst->first)) == NULL)
                return;
        d->summary =
                text_format("The program asked %zu times for %s.", worst->requests, worst->key);
        text_add_at(&d->evidence, worst->first, "first request");
        text_add_at(&d->evidence, worst->last, "last request, %.1f s later",
                    (double)(event_get_time_us(worst->last) - event_get_time_us(worst->first)) /
                            1e6);
}

void rules_transfer(const struct facts *facts, struct findings *findings)
{
        struct answered *ids = answered_ids(facts, &findings->oom), *one, *next;
        struct netfaults all = {0};
        struct answers answers;

        answers_init(&answers, facts);
        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];

                if (event_is(event, "http.body"))
                        take_body(facts, &answers, event, &all);
                else if (event_is(event, "http.request"))
                        take_request(facts, &answers, ids, event, &all);
                else if (event_is(event, "flow.close"))
                        take_close(facts, event, &all);
        }
        for (size_t i = 0; i < all.count; i++)
                report_group(facts, &all.groups[i], findings);
        rule_storm(&answers, findings);
        findings->oom = findings->oom || answers.oom;
        answers_fini(&answers);
        HASH_ITER(hh, ids, one, next)
        {
                HASH_DEL(ids, one);
                free(one);
        }
}
