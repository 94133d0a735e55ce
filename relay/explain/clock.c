/* This machine's clock against those of servers: see clock.h. */
#include "explain/clock.h"
#include "explain/answers.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SKEW_MIN_S = 600 }; /* less is common and breaks nothing */

/* Seconds since 1970 of an IMF-fixdate (RFC 9110 section 5.6.7), -1 if it is none. */
static int64_t parse_date(const char *text)
{
        struct tm tm = {0};
        const char *end = text != NULL ? strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) : NULL;

        return end != NULL && *end == '\0' ? (int64_t)timegm(&tm) : -1;
}

/* Seconds since 1970 of "2026-01-31T13:20:01Z", -1 if it is none. */
static int64_t parse_time(const char *text)
{
        struct tm tm = {0};
        const char *end = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

        return end != NULL ? (int64_t)timegm(&tm) : -1;
}

static void take(const struct facts *facts, const json_t *response, struct clock_skew *skew)
{
        const struct flow *flow = facts_flow(facts, response);
        const char *date = answers_header(response, "Date"), *age = answers_header(response, "Age");
        int64_t theirs = parse_date(date), ours = event_get_time_us(response) / 1000000;

        if (theirs < 0 || ours < 0)
                return;
        theirs += age != NULL ? strtol(age, NULL, 10) : 0; /* a cache's answer is as old as this */
        if (llabs(theirs - ours) < SKEW_MIN_S) {
                skew->agreeing++;
        } else if (skew->answer == NULL) {
                *skew = (struct clock_skew){.answer = response,
                                            .date = date,
                                            .host = flow != NULL ? flow->host : NULL,
                                            .seconds = theirs - ours,
                                            .hosts = 1,
                                            .agreeing = skew->agreeing};
        } else if (llabs(skew->seconds - (theirs - ours)) < SKEW_MIN_S && flow != NULL &&
                   flow->host != NULL && skew->host != NULL &&
                   strcmp(flow->host, skew->host) != 0) {
                skew->hosts = 2;
        }
}

void clock_measure(const struct facts *facts, struct clock_skew *skew)
{
        *skew = (struct clock_skew){0};
        for (size_t i = 0; i < facts->events->count; i++)
                if (event_is(facts->events->items[i], "http.response"))
                        take(facts, facts->events->items[i], skew);
}

bool clock_explains(const struct clock_skew *skew, const json_t *tls)
{
        int64_t from = parse_time(event_get_str(tls, "not_before"));
        int64_t to = parse_time(event_get_str(tls, "not_after"));
        int64_t theirs = event_get_time_us(tls) / 1000000 + skew->seconds;

        return skew->answer != NULL && skew->agreeing == 0 && from >= 0 && to >= 0 &&
               theirs >= from && theirs <= to;
}

char *clock_summary(const struct clock_skew *skew)
{
        int64_t s = llabs(skew->seconds);
        const char *unit = s >= 172800 ? "days" : s >= 7200 ? "hours" : "minutes";
        int64_t n = s >= 172800 ? s / 86400 : s >= 7200 ? s / 3600 : s / 60;

        return text_format("This machine's clock is %lld %s %s, so certificates seem %s.",
                           (long long)n, unit, skew->seconds > 0 ? "behind" : "ahead",
                           skew->seconds > 0 ? "not valid yet" : "expired");
}

void clock_proof(struct draft *d, const struct clock_skew *skew)
{
        text_add_at(&d->evidence, skew->answer, "%s says that it is %s%s",
                    skew->host != NULL ? skew->host : "a host", skew->date,
                    skew->hosts > 1 ? ", and others agree" : "");
        text_add(&d->evidence, "by that clock the certificate is valid");
}
