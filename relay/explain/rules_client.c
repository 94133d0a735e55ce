/* Rules about the program itself: it gave up although it was answered well, or tapline could not
 * see into it. Both say what is known when no cause is. */
#include "explain/rules.h"

#include <stdlib.h>
#include <string.h>

enum {
        WHOLE_ATTEMPTS = 3,  /* the same URL answered and read to its end: twice may be meant */
        BROKEN_ATTEMPTS = 2, /* given up in the middle of the body */
        EARLY_MS = 1000,     /* a client that closes later was busy with the answer */
};

/* One URL as one process asked for it, each time on another connection. */
struct attempt {
        char *key;       /* owned: pid and URL */
        const char *url; /* borrowed */
        const json_t *answers[EVIDENCE_MAX];
        size_t count;  /* answers below 400, each followed by an early close of the client */
        size_t broken; /* of these, with an incomplete body */
        int64_t last_flow;
        UT_hash_handle hh;
};

static bool closed_early(const struct flow *flow, const json_t *answer)
{
        int64_t after_us = event_get_time_us(flow->close) - event_get_time_us(answer);

        return event_field_is(flow->close, "first", "client") && after_us >= 0 &&
               after_us < EARLY_MS * 1000;
}

static struct attempt *attempt_of(struct attempt **all, int64_t pid, const char *url, bool *oom)
{
        char *key = text_format("%lld %s", (long long)pid, url);
        struct attempt *a = NULL;

        if (key != NULL)
                HASH_FIND_STR(*all, key, a);
        if (a != NULL) {
                free(key);
                return a;
        }
        a = key != NULL ? calloc(1, sizeof *a) : NULL;
        if (a != NULL) {
                a->key = key;
                a->url = url;
                HASH_ADD_KEYPTR(hh, *all, a->key, strlen(a->key), a);
                if (a->hh.tbl != NULL)
                        return a;
        }
        *oom = true;
        free(a);
        free(key);
        return NULL;
}

static void take_answer(const struct facts *facts, const json_t *event, struct attempt **all,
                        bool *oom)
{
        const struct flow *flow = facts_flow(facts, event);
        const char *url = event_get_str(event, "url");
        int64_t status = event_get_int(event, "status", 0);
        struct attempt *a;

        if (url == NULL)
                url = event_get_str(facts_request(facts, event), "url");
        if (flow == NULL || flow->close == NULL || url == NULL || status < 200 || status >= 400 ||
            !closed_early(flow, event))
                return;
        a = attempt_of(all, event_get_int(event, "pid", 0), url, oom);
        if (a == NULL || a->last_flow == flow->id)
                return;
        a->last_flow = flow->id;
        if (a->count < EVIDENCE_MAX)
                a->answers[a->count] = event;
        a->count++;
        a->broken += flow->broken;
}

static void report_attempt(const struct facts *facts, const struct attempt *a,
                           struct findings *findings)
{
        struct draft *d = findings_add(findings, FINDING_CLIENT_GAVE_UP, a->answers[0]);

        if (d == NULL)
                return;
        d->summary = text_format("The program was answered well %zu times for %s and closed the "
                                 "connection each time; no failed file call explains why.",
                                 a->count, a->url);
        for (size_t i = 0; i < a->count && i < EVIDENCE_MAX; i++) {
                const struct flow *flow = facts_flow(facts, a->answers[i]);
                int64_t after_us =
                        event_get_time_us(flow->close) - event_get_time_us(a->answers[i]);

                text_add_at(&d->evidence, a->answers[i],
                            "%lld from %s, closed by the client %lld ms later",
                            (long long)event_get_int(a->answers[i], "status", 0),
                            flow->host != NULL ? flow->host : "the host",
                            (long long)(after_us / 1000));
        }
        if (a->count > EVIDENCE_MAX)
                text_add(&d->evidence, "and %zu more", a->count - EVIDENCE_MAX);
}

static void rule_gave_up(const struct facts *facts, struct findings *findings)
{
        struct attempt *all = NULL, *a, *next;
        const struct attempt *worst = NULL;

        if (!facts_failed(facts))
                return;
        for (size_t i = 0; i < facts->events->count; i++)
                if (event_is(facts->events->items[i], "http.response"))
                        take_answer(facts, facts->events->items[i], &all, &findings->oom);
        for (a = all; a != NULL; a = a->hh.next)
                if ((a->count >= WHOLE_ATTEMPTS || a->broken >= BROKEN_ATTEMPTS) &&
                    (worst == NULL || a->count > worst->count))
                        worst = a;
        if (worst != NULL)
                report_attempt(facts, worst, findings);
        HASH_ITER(hh, all, a, next)
        {
                HASH_DEL(all, a);
                free(a->key);
                free(a);
        }
}

static void rule_uncovered(const struct facts *facts, struct findings *findings)
{
        struct text_list names = {0};
        struct draft *d = NULL;

        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];
                char *name = facts_uncovered(event);

                if (name != NULL && d == NULL)
                        d = findings_add(findings, FINDING_PROCESS_NOT_COVERED, event);
                if (d != NULL && name != NULL && text_add_once(&names, name) &&
                    names.count <= EVIDENCE_MAX)
                        text_add_at(&d->evidence, event, "%s", name);
                free(name);
        }
        if (d != NULL && names.count > EVIDENCE_MAX)
                text_add(&d->evidence, "and %zu more", names.count - EVIDENCE_MAX);
        if (d != NULL)
                d->summary = text_format("%zu program%s could not be watched.", names.count,
                                         text_s(names.count));
        text_list_fini(&names);
}

void rules_client(const struct facts *facts, struct findings *findings)
{
        rule_gave_up(facts, findings);
        rule_uncovered(facts, findings);
}
