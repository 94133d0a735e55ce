/* Rules about answers: a status that says no, redirects that lead nowhere. A status counts only if
 * nothing made it good: the same URL answered well later, or, where something is simply not there,
 * the same thing found elsewhere (a second index, another file of the same name). */
#include "explain/answers.h"
#include "explain/netfault.h"

#include <stdlib.h>
#include <string.h>

enum { LOOP_MIN = 3, CHAIN_MIN = 10 };

static enum finding_code code_of(int64_t status)
{
        switch (status) {
        case 401:
                return FINDING_HTTP_UNAUTHORIZED;
        case 403:
        case 451: /* unavailable for legal reasons */
                return FINDING_HTTP_FORBIDDEN;
        case 404:
                return FINDING_HTTP_NOT_FOUND;
        case 410:
                return FINDING_HTTP_GONE;
        case 429:
                return FINDING_RATE_LIMITED;
        default:
                return status >= 500 && status <= 599 ? FINDING_SERVER_ERROR : FINDING_CODE_COUNT;
        }
}

static bool is_absence(enum finding_code code)
{
        return code == FINDING_HTTP_NOT_FOUND || code == FINDING_HTTP_GONE;
}

static bool was_made_good(const struct answers *answers, const json_t *event, const char *url,
                          enum finding_code code)
{
        const struct answer *same = answers_of_url(answers, url),
                            *elsewhere = answers_of_name(answers, url);

        if (same != NULL && same->good_us > event_get_time_us(event))
                return true;
        return is_absence(code) && elsewhere != NULL && elsewhere->good_us >= 0;
}

/* Was something else asked for afterwards, by anybody? Then this was done without, or at least not
 * the end. The answers need not be seen: they may come out of a cache. */
static bool went_on(const struct facts *facts, size_t at, const char *url)
{
        for (size_t i = at + 1; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];
                const char *other = answers_url(facts, event);

                if (event_is(event, "http.request") && other != NULL &&
                    !answers_same_name(url, other))
                        return true;
        }
        return false;
}

/* Did the same host say so before of something that was done without? */
static bool is_habit(const struct facts *facts, size_t at, const struct flow *flow)
{
        for (size_t i = 0; i < at; i++) {
                const json_t *event = facts->events->items[i];
                const struct flow *other = facts_flow(facts, event);
                const char *url = answers_url(facts, event);

                if (event_is(event, "http.response") && url != NULL && flow != NULL &&
                    other != NULL && other->host != NULL && flow->host != NULL &&
                    strcmp(other->host, flow->host) == 0 && other->port == flow->port &&
                    is_absence(code_of(event_get_int(event, "status", 0))) &&
                    went_on(facts, i, url))
                        return true;
        }
        return false;
}

static bool is_certain(const struct facts *facts, const struct answers *answers, size_t at,
                       const char *url)
{
        const json_t *event = facts->events->items[at];
        const struct answer *named = answers_of_name(answers, url);
        bool absence = is_absence(code_of(event_get_int(event, "status", 0)));

        if (went_on(facts, at, url))
                return false;
        return !absence || (named != NULL && named->absences > 1) ||
               !is_habit(facts, at, facts_flow(facts, event));
}

static void take(const struct facts *facts, const struct answers *answers, size_t at,
                 struct netfaults *all)
{
        const json_t *event = facts->events->items[at];
        const struct flow *flow = facts_flow(facts, event);
        const json_t *request = facts_request(facts, event);
        enum finding_code code = code_of(event_get_int(event, "status", 0));
        const char *url = answers_url(facts, event);

        /* A refused CONNECT is the proxy's word (rules_proxy.c). */
        if (code == FINDING_CODE_COUNT || url == NULL ||
            event_field_is(request, "method", "CONNECT") ||
            was_made_good(answers, event, url, code))
                return;
        netfault_add(all, &(struct netfault_item){
                                  .code = code,
                                  .host = flow != NULL ? flow->host : NULL,
                                  .port = flow != NULL ? flow->port : 0,
                                  .event = event,
                                  .certain = is_certain(facts, answers, at, url),
                          });
}

static bool sent_credentials(const struct facts *facts, const json_t *event)
{
        return answers_header(facts_request(facts, event), "Authorization") != NULL;
}

static char *summary_of(const struct facts *facts, const struct netfault *group, const char *hosts)
{
        const json_t *event = group->events[0];
        const char *url = answers_url(facts, event);
        int64_t status = event_get_int(event, "status", 0);
        const char *after = answers_header(event, "Retry-After");

        switch (group->code) {
        case FINDING_HTTP_UNAUTHORIZED:
                return sent_credentials(facts, event)
                               ? text_format("%s does not accept the user name, password or token "
                                             "that was sent (401).",
                                             hosts)
                               : text_format("%s wants a user name, a password or a token, and "
                                             "none was sent (401).",
                                             hosts);
        case FINDING_HTTP_FORBIDDEN:
                return text_format("%s refuses %s (%lld).", hosts, url, (long long)status);
        case FINDING_HTTP_NOT_FOUND:
                return text_format("%s does not have %s (404).", hosts, url);
        case FINDING_HTTP_GONE:
                return text_format("%s has removed %s (410).", hosts, url);
        case FINDING_RATE_LIMITED:
                return text_format("%s answers no more because too much was asked (429)%s%s.",
                                   hosts, after != NULL ? "; it wants a pause, Retry-After: " : "",
                                   after != NULL ? after : "");
        default:
                return text_format("%s reports a fault of its own: %lld%s%s.", hosts,
                                   (long long)status, event_get_str(event, "reason") ? " " : "",
                                   event_get_str(event, "reason") ? event_get_str(event, "reason")
                                                                  : "");
        }
}

static void add_line(struct draft *d, const struct facts *facts, const json_t *event)
{
        const char *reason = event_get_str(event, "reason"), *url = answers_url(facts, event);
        const char *challenge = answers_header(event, "WWW-Authenticate");
        const char *method = event_get_str(facts_request(facts, event), "method");

        text_add_at(&d->evidence, event, "%lld%s%s for %s%s%s%s%s%s",
                    (long long)event_get_int(event, "status", 0), reason ? " " : "",
                    reason ? reason : "", method ? method : "", method ? " " : "", url,
                    challenge ? " (it asks for " : "", challenge ? challenge : "",
                    challenge ? ")" : "");
}

/* "export PIP_INDEX_URL=https://USER:PASSWORD@host/..." cannot be known for every tool; netrc is
 * read by most of them. */
static void add_netrc(struct draft *d, const struct netfault *group)
{
        char *host = group->host_count > 0 ? text_quote(group->hosts[0]) : NULL;

        if (host != NULL)
                text_add(&d->commands,
                         "touch ~/.netrc && chmod 600 ~/.netrc && echo \"machine %s login USER "
                         "password PASSWORD\" >>~/.netrc",
                         host);
        free(host);
}

static void add_command(struct draft *d, const struct facts *facts, const struct netfault *group)
{
        const char *url = answers_url(facts, group->events[0]);
        const char *after = answers_header(group->events[0], "Retry-After");
        char *quoted = url != NULL ? text_quote(url) : NULL;
        long seconds = after != NULL ? strtol(after, NULL, 10) : 0;

        if (group->code == FINDING_HTTP_UNAUTHORIZED)
                add_netrc(d, group);
        else if ((group->code == FINDING_RATE_LIMITED || group->code == FINDING_SERVER_ERROR) &&
                 after != NULL && seconds > 0 && seconds <= 3600)
                text_add(&d->commands, "sleep %ld", seconds);
        else if (quoted != NULL)
                text_add(&d->commands, "curl -sSI %s", quoted);
        free(quoted);
}

static void report_group(const struct facts *facts, const struct netfault *group,
                         struct findings *findings)
{
        struct draft *d = findings_add(findings, group->code, group->events[0]);
        char *hosts = netfault_hosts(group);

        if (d != NULL && hosts != NULL) {
                d->confidence = group->certain ? CONFIDENCE_CERTAIN : CONFIDENCE_LIKELY;
                if (is_absence(group->code) && !group->certain) {
                        d->severity = SEVERITY_WARNING;
                        d->confidence = CONFIDENCE_POSSIBLE;
                }
                if (!facts_failed(facts)) /* a relay's record, or one without its end */
                        d->severity = SEVERITY_WARNING;
                d->summary = summary_of(facts, group, hosts);
                for (size_t i = 0; i < group->count && i < EVIDENCE_MAX; i++)
                        add_line(d, facts, group->events[i]);
                netfault_proof(d, facts, group);
                add_command(d, facts, group);
        }
        free(hosts);
}

/* ---- redirects ---- */

struct chain {
        const json_t *first, *last; /* redirects without any other answer after them */
        size_t count;
};

static bool is_redirect(const json_t *event)
{
        int64_t status = event_get_int(event, "status", 0);

        return status >= 300 && status < 400 && answers_header(event, "Location") != NULL;
}

static void report_loop(const struct facts *facts, const struct chain *chain, size_t times,
                        struct findings *findings)
{
        struct draft *d = findings_add(findings, FINDING_REDIRECT_LOOP, chain->first);
        const char *url = answers_url(facts, chain->last);

        if (d == NULL)
                return;
        d->summary =
                text_format("Redirects lead nowhere: %s was redirected %zu times.", url, times);
        text_add_at(&d->evidence, chain->first, "%lld for %s, to %s",
                    (long long)event_get_int(chain->first, "status", 0),
                    answers_url(facts, chain->first), answers_header(chain->first, "Location"));
        text_add_at(&d->evidence, chain->last, "%lld for %s, to %s",
                    (long long)event_get_int(chain->last, "status", 0), url,
                    answers_header(chain->last, "Location"));
        text_add(&d->evidence, "%zu redirects in a row, and no other answer after them",
                 chain->count);
}

static void rule_redirects(const struct facts *facts, const struct answers *answers,
                           struct findings *findings)
{
        struct chain chain = {0};
        const struct answer *last;

        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];

                if (!event_is(event, "http.response") || answers_url(facts, event) == NULL)
                        continue;
                if (!is_redirect(event)) {
                        chain = (struct chain){0};
                        continue;
                }
                chain.first = chain.first != NULL ? chain.first : event;
                chain.last = event;
                chain.count++;
        }
        if (chain.count == 0)
                return;
        last = answers_of_url(answers, answers_url(facts, chain.last));
        if ((last != NULL && last->redirects >= LOOP_MIN && last->good_us < 0) ||
            chain.count >= CHAIN_MIN)
                report_loop(facts, &chain,
                            last != NULL && last->redirects >= LOOP_MIN ? last->redirects
                                                                        : chain.count,
                            findings);
}

void rules_http(const struct facts *facts, struct findings *findings)
{
        struct netfaults all = {0};
        struct answers answers;

        answers_init(&answers, facts);
        for (size_t i = 0; i < facts->events->count; i++)
                if (event_is(facts->events->items[i], "http.response"))
                        take(facts, &answers, i, &all);
        for (size_t i = 0; i < all.count; i++)
                report_group(facts, &all.groups[i], findings);
        rule_redirects(facts, &answers, findings);
        findings->oom = findings->oom || answers.oom;
        answers_fini(&answers);
}
