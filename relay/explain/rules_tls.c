/* Rules about certificates: an origin that could not be verified, a client that does not trust the
 * certificates tapline makes. A later success with the same host makes either good. */
#include "explain/netfault.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Alerts (RFC 8446 section 6) with which clients refuse a certificate; OpenSSL's spelling has
 * blanks, the RFC's underscores. */
static const char *const refusals[] = {
        "unknown ca",          "bad certificate",     "unsupported certificate",
        "certificate revoked", "certificate expired", "certificate unknown",
};

static bool alert_contains(const char *alert, const char *wanted)
{
        size_t len = strlen(wanted);

        for (; strlen(alert) >= len; alert++) {
                size_t i = 0;

                while (i < len && (strncasecmp(alert + i, wanted + i, 1) == 0 ||
                                   (wanted[i] == ' ' && strchr("_-", alert[i]) != NULL)))
                        i++;
                if (i == len)
                        return true;
        }
        return false;
}

static bool is_refusal(const char *alert)
{
        for (size_t i = 0; alert != NULL && i < sizeof refusals / sizeof refusals[0]; i++)
                if (alert_contains(alert, refusals[i]))
                        return true;
        return false;
}

static void take(const struct facts *facts, const json_t *event, struct netfaults *all)
{
        const struct flow *flow = facts_flow(facts, event);
        const char *name = event_get_str(event, "sni");
        bool origin = event_field_is(event, "side", "origin");
        const struct host *host;
        int64_t good_us;

        if (name == NULL && flow != NULL)
                name = flow->host;
        if (!event_field_is(event, "result", "failed") ||
            (origin && event_get_str(event, "verify") == NULL) ||
            (!origin && !is_refusal(event_get_str(event, "alert"))))
                return;
        host = facts_host(facts, name, 0);
        good_us = host == NULL ? -1 : origin ? host->answered_us : host->trusted_us;
        if (good_us > event_get_time_us(event))
                return;
        netfault_add(all, &(struct netfault_item){
                                  .code = origin ? FINDING_ORIGIN_UNTRUSTED
                                                 : FINDING_CLIENT_DISTRUSTS_TAPLINE,
                                  .host = name,
                                  .port = origin && flow != NULL ? flow->port : 0,
                                  .event = event,
                                  .certain = true,
                          });
}

static void add_line(struct draft *d, const json_t *event, const char *host)
{
        const char *issuer = event_get_str(event, "issuer"), *alert = event_get_str(event, "alert");

        if (d->code == FINDING_ORIGIN_UNTRUSTED)
                text_add_at(&d->evidence, event, "certificate of %s: %s%s%s%s", host,
                            event_get_str(event, "verify"), issuer ? " (issued by " : "",
                            issuer ? issuer : "", issuer ? ")" : "");
        else
                text_add_at(&d->evidence, event,
                            "%s refused tapline's certificate for %s: alert %s",
                            event_get_str(event, "exe") ? text_base(event_get_str(event, "exe"))
                                                        : "the client",
                            host, alert);
}

static void add_command(struct draft *d, const struct facts *facts, const struct netfault *group)
{
        char *command = text_command(json_object_get(facts->start, "command"));
        char *host = group->host_count > 0 ? text_quote(group->hosts[0]) : NULL;
        long long port = group->ports[0] > 0 ? (long long)group->ports[0] : 443;

        if (group->code == FINDING_CLIENT_DISTRUSTS_TAPLINE && command != NULL && *command != '\0')
                text_add(&d->commands, "tapline run --inspect=never -- %s", command);
        else if (group->code == FINDING_ORIGIN_UNTRUSTED && host != NULL)
                text_add(&d->commands,
                         "openssl s_client -connect %s:%lld -servername %s -showcerts </dev/null",
                         host, port, host);
        free(host);
        free(command);
}

static void report_group(const struct facts *facts, const struct netfault *group,
                         struct findings *findings)
{
        struct draft *d = findings_add(findings, group->code, group->events[0]);
        const char *exe = event_get_str(group->events[0], "exe");
        char *hosts = netfault_hosts(group);

        if (d != NULL && hosts != NULL) {
                if (group->code == FINDING_ORIGIN_UNTRUSTED)
                        d->summary = text_format("The certificate of %s cannot be trusted: %s.",
                                                 hosts, event_get_str(group->events[0], "verify"));
                else
                        d->summary =
                                text_format("%s does not trust tapline's certificates (%s).",
                                            exe != NULL ? text_base(exe) : "The program", hosts);
                for (size_t i = 0; i < group->count && i < EVIDENCE_MAX; i++)
                        add_line(d, group->events[i],
                                 group->host_count > 0 ? group->hosts[0] : "?");
                netfault_proof(d, facts, group);
                add_command(d, facts, group);
        }
        free(hosts);
}

void rules_tls(const struct facts *facts, struct findings *findings)
{
        struct netfaults all = {0};

        for (size_t i = 0; i < facts->events->count; i++)
                if (event_is(facts->events->items[i], "tls"))
                        take(facts, facts->events->items[i], &all);
        for (size_t i = 0; i < all.count; i++)
                report_group(facts, &all.groups[i], findings);
}
