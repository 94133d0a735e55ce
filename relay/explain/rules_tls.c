/* Rules about TLS: an origin that could not be verified and why not, a client that does not trust
 * the certificates tapline makes, ends without a version in common, and a clock that makes good
 * certificates look bad. A later success with the same host makes any of them good. */
#include "explain/clock.h"
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

/* How GnuTLS and Node leave where they do not trust: without an alert (handshake.c's words). */
static const char *const silences[] = {"closed without sending a byte after the handshake",
                                       "closed during the handshake after it was sent"};

/* How OpenSSL says that there is no version in common, as an alert or as its own error. */
static const char *const versions[] = {"protocol version", "unsupported protocol",
                                       "no protocols available", "inappropriate fallback"};

/* What OpenSSL says of a certificate (X509_verify_cert_error_string(3)). */
static const struct {
        const char *verify;
        enum finding_code code;
} verdicts[] = {
        {"has expired", FINDING_ORIGIN_CERTIFICATE_EXPIRED},
        {"not yet valid", FINDING_ORIGIN_CERTIFICATE_NOT_YET_VALID},
        {"hostname mismatch", FINDING_ORIGIN_CERTIFICATE_WRONG_NAME},
        {"IP address mismatch", FINDING_ORIGIN_CERTIFICATE_WRONG_NAME},
        {"unable to get local issuer", FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN},
        {"unable to verify the first", FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN},
};

/* Products that open TLS, by what their CAs are called. */
static const char *const interceptors[] = {
        "Zscaler",   "Netskope",   "Palo Alto", "Forcepoint", "Fortinet",      "FortiGate",
        "Blue Coat", "Symantec",   "Umbrella",  "McAfee",     "Skyhigh",       "Sophos",
        "Kaspersky", "Avast",      "AVG",       "ESET",       "Bitdefender",   "Check Point",
        "Barracuda", "WatchGuard", "SonicWall", "mitmproxy",  "Charles Proxy", "PortSwigger",
        "Fiddler",   "iboss",      "Untangle",  "Menlo",      "Squid",
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

static bool contains_any(const char *text, const char *const *list, size_t count)
{
        for (size_t i = 0; text != NULL && i < count; i++)
                if (alert_contains(text, list[i]))
                        return true;
        return false;
}

#define CONTAINS(text, list) contains_any(text, list, sizeof(list) / sizeof((list)[0]))

/* Does the origin leave out a certificate that it has to send? That its chain goes on with one that
 * is neither sent nor trusted looks the same if that one is the root of a CA that is unknown here.
 * It is none if it has an issuer of its own; and a certificate that says where its issuer's can be
 * had mostly comes from a CA that has others in between. */
static bool leaves_out(const json_t *event)
{
        const char *missing = event_get_str(event, "missing"),
                   *by = event_get_str(event, "missing_issuer"),
                   *issuer = event_get_str(event, "issuer"),
                   *subject = event_get_str(event, "subject");

        if (missing != NULL && by != NULL)
                return strcmp(missing, by) != 0;
        if (event_get_str(event, "issuer_url") == NULL || issuer == NULL || subject == NULL)
                return false;
        return missing != NULL
                       ? strcmp(missing, issuer) == 0
                       : event_get_int(event, "chain", 0) == 1 && strcmp(issuer, subject) != 0;
}

static enum finding_code code_of_origin(const json_t *event)
{
        const char *verify = event_get_str(event, "verify");
        enum finding_code code = FINDING_ORIGIN_UNTRUSTED;

        if (verify == NULL)
                return CONTAINS(event_get_str(event, "alert"), versions) ||
                                       CONTAINS(event_get_str(event, "error"), versions)
                               ? FINDING_TLS_VERSION_MISMATCH
                               : FINDING_CODE_COUNT;
        for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
                if (strstr(verify, verdicts[i].verify) != NULL)
                        code = verdicts[i].code;
        if (code == FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN && !leaves_out(event))
                code = FINDING_ORIGIN_UNTRUSTED;
        return code;
}

/* The program keeps to RFC 5280 and refuses what it is shown, which is as lax as the origin's. With
 * this alert OpenSSL does so; one who does not know the CA has another. */
static bool is_strict_refusal(const json_t *event)
{
        const char *alert = event_get_str(event, "alert");

        return event_field_is(event, "side", "client") && event_get_str(event, "lax") != NULL &&
               alert != NULL && alert_contains(alert, "certificate unknown");
}

static enum finding_code code_of(const json_t *event)
{
        const char *alert = event_get_str(event, "alert");

        if (event_field_is(event, "side", "origin"))
                return code_of_origin(event);
        if (CONTAINS(alert, versions) || CONTAINS(event_get_str(event, "error"), versions))
                return FINDING_TLS_VERSION_MISMATCH;
        if (is_strict_refusal(event))
                return FINDING_ORIGIN_UNTRUSTED;
        if (alert == NULL && CONTAINS(event_get_str(event, "error"), silences))
                return FINDING_CLIENT_DISTRUSTS_TAPLINE;
        return CONTAINS(alert, refusals) ? FINDING_CLIENT_DISTRUSTS_TAPLINE : FINDING_CODE_COUNT;
}

/* Did the same program get an answer from the host later, by trusting us or past us? What another
 * one trusts says nothing about it. */
static bool trusted_later(const struct facts *facts, const json_t *event, const char *name)
{
        const char *exe = event_get_str(event, "exe");

        for (const struct flow *f = facts->flows; f != NULL; f = f->hh.next) {
                bool answered =
                        f->answer != NULL ||
                        (!f->tls_failed && event_get_int(f->close, "server_to_client", 0) > 0);

                if (answered && name != NULL && f->host != NULL && strcmp(f->host, name) == 0 &&
                    event_get_time_us(f->close) > event_get_time_us(event) &&
                    (exe == NULL || event_field_is(f->close, "exe", exe)))
                        return true;
        }
        return false;
}

static void take(const struct facts *facts, const json_t *event, struct netfaults *all)
{
        const struct flow *flow = facts_flow(facts, event);
        const char *name = event_get_str(event, "sni");
        bool origin = event_field_is(event, "side", "origin");
        enum finding_code code = code_of(event);
        const struct host *host;

        if (name == NULL && flow != NULL)
                name = flow->host;
        if (!event_field_is(event, "result", "failed") || code == FINDING_CODE_COUNT)
                return;
        host = facts_host(facts, name, 0);
        if (origin ? host != NULL && host->answered_us > event_get_time_us(event)
                   : trusted_later(facts, event, name))
                return;
        netfault_add(all, &(struct netfault_item){
                                  .code = code,
                                  .host = name,
                                  .port = (origin || is_strict_refusal(event)) && flow != NULL
                                                  ? flow->port
                                                  : 0,
                                  .event = event,
                                  .certain = true,
                          });
}

/* What is known of the certificate with which the chain would go on. */
static void add_missing(struct draft *d, const json_t *event)
{
        const char *missing = event_get_str(event, "missing"),
                   *by = event_get_str(event, "missing_issuer"),
                   *url = event_get_str(event, "issuer_url");
        long long sent = event_get_int(event, "chain", 0);
        bool root = missing != NULL && by != NULL && strcmp(missing, by) == 0;

        if (missing != NULL)
                text_add(&d->evidence, "the host sent %lld certificate%s, and not that of %s, %s%s",
                         sent, text_s((size_t)sent), missing,
                         by == NULL ? "which may be a root or not"
                         : root     ? "which is a root"
                                    : "which is no root but issued by ",
                         by == NULL || root ? "" : by);
        if (d->code == FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN && url != NULL)
                text_add(&d->evidence, "the one that was not sent is said to be at %s", url);
}

static void add_certificate(struct draft *d, const json_t *event, const char *host)
{
        const char *issuer = event_get_str(event, "issuer"), *names = event_get_str(event, "names");
        const char *from = event_get_str(event, "not_before"),
                   *to = event_get_str(event, "not_after");
        const char *verify = event_get_str(event, is_strict_refusal(event) ? "lax" : "verify");

        text_add_at(&d->evidence, event, "certificate of %s: %s%s%s%s", host,
                    verify != NULL ? verify : "not accepted", issuer ? " (issued by " : "",
                    issuer ? issuer : "", issuer ? ")" : "");
        if (from != NULL && to != NULL &&
            (d->code == FINDING_ORIGIN_CERTIFICATE_EXPIRED ||
             d->code == FINDING_ORIGIN_CERTIFICATE_NOT_YET_VALID || d->code == FINDING_CLOCK_SKEW))
                text_add(&d->evidence, "it is valid from %s to %s; this machine's clock said %s",
                         from, to, event_get_str(event, "time"));
        if (d->code == FINDING_ORIGIN_CERTIFICATE_WRONG_NAME)
                text_add(&d->evidence, "it names %s", names != NULL ? names : "no host at all");
        add_missing(d, event);
}

static void add_line(struct draft *d, const json_t *event, const char *host)
{
        const char *alert = event_get_str(event, "alert"), *error = event_get_str(event, "error");
        const char *exe = event_get_str(event, "exe");

        if (d->code == FINDING_CLIENT_DISTRUSTS_TAPLINE)
                text_add_at(&d->evidence, event, "%s refused tapline's certificate for %s: %s%s",
                            exe != NULL ? text_base(exe) : "the client", host,
                            alert != NULL ? "alert " : "", alert != NULL ? alert : error);
        else if (d->code == FINDING_TLS_VERSION_MISMATCH)
                text_add_at(&d->evidence, event, "handshake with %s: %s",
                            event_field_is(event, "side", "origin") ? host : "the program",
                            error != NULL ? error : alert);
        else
                add_certificate(d, event, host);
}

/* The bundle that the command trusts now, the missing certificate added: pasted, it makes the
 * common clients accept the host. Whoever is at the other end has named that URL, so what comes
 * from there is added only if a CA that is trusted already has signed it. */
static void add_bundle_commands(struct draft *d, const char *url)
{
        char *quoted = text_quote(url);

        if (quoted == NULL)
                return;
        text_add(&d->commands, "bundle=\"$(mktemp)\" missing=\"$(mktemp)\" "
                               "trusted=\"${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}\"");
        text_add(&d->commands, "curl -sS %s | openssl x509 -inform DER >\"$missing\"", quoted);
        text_add(&d->commands, "openssl verify -CAfile \"$trusted\" \"$missing\" && "
                               "cat \"$trusted\" \"$missing\" >\"$bundle\" && "
                               "export SSL_CERT_FILE=\"$bundle\" REQUESTS_CA_BUNDLE=\"$bundle\" "
                               "CURL_CA_BUNDLE=\"$bundle\" PIP_CERT=\"$bundle\" "
                               "NODE_EXTRA_CA_CERTS=\"$bundle\"");
        free(quoted);
}

static void add_command(struct draft *d, const struct facts *facts, const struct netfault *group)
{
        char *command = text_command(json_object_get(facts->start, "command"));
        char *host = group->host_count > 0 ? text_quote(group->hosts[0]) : NULL;
        long long port = group->ports[0] > 0 ? (long long)group->ports[0] : 443;
        const char *url = event_get_str(group->events[0], "issuer_url");

        if (group->code == FINDING_CLIENT_DISTRUSTS_TAPLINE && command != NULL && *command != '\0')
                text_add(&d->commands, "tapline run --inspect=never -- %s", command);
        else if (group->code == FINDING_CLOCK_SKEW)
                text_add(&d->commands, "date -u");
        else if (group->code == FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN && url != NULL)
                add_bundle_commands(d, url);
        else if (group->code != FINDING_CLIENT_DISTRUSTS_TAPLINE && host != NULL)
                text_add(&d->commands,
                         "openssl s_client -connect %s:%lld -servername %s -showcerts </dev/null",
                         host, port, host);
        free(host);
        free(command);
}

static char *summary_of(const struct netfault *group, const char *hosts)
{
        const json_t *event = group->events[0];
        const char *verify = event_get_str(event, is_strict_refusal(event) ? "lax" : "verify"),
                   *exe = event_get_str(event, "exe");
        const char *issuer = event_get_str(event, "issuer"),
                   *missing = event_get_str(event, "missing");

        switch (group->code) {
        case FINDING_TLS_INTERCEPTED_BY_OTHER:
                return text_format("Something on the way opens the TLS connections to %s: the "
                                   "certificates are made by %s.",
                                   hosts, issuer != NULL ? issuer : "nobody known");
        case FINDING_ORIGIN_CERTIFICATE_EXPIRED:
                return text_format(
                        "The certificate of %s has expired%s%s.", hosts,
                        event_get_str(event, "not_after") ? ": its last day was " : "",
                        event_get_str(event, "not_after") ? event_get_str(event, "not_after") : "");
        case FINDING_ORIGIN_CERTIFICATE_NOT_YET_VALID:
                return text_format("The certificate of %s is not valid yet%s%s.", hosts,
                                   event_get_str(event, "not_before") ? ": its first day is " : "",
                                   event_get_str(event, "not_before")
                                           ? event_get_str(event, "not_before")
                                           : "");
        case FINDING_ORIGIN_CERTIFICATE_WRONG_NAME:
                return text_format("The certificate of %s is for another name.", hosts);
        case FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN:
                return text_format("%s does not send the certificate of %s, which its chain needs.",
                                   hosts, missing != NULL ? missing : issuer);
        case FINDING_TLS_VERSION_MISMATCH:
                return text_format("%s and the program have no version of TLS in common.", hosts);
        case FINDING_CLIENT_DISTRUSTS_TAPLINE:
                return text_format("%s does not trust tapline's certificates (%s).",
                                   exe != NULL ? text_base(exe) : "The program", hosts);
        default:
                if (missing != NULL)
                        return text_format(
                                "The certificate of %s cannot be trusted: its chain goes "
                                "on with that of %s, which was neither sent nor is it "
                                "trusted here.",
                                hosts, missing);
                return text_format("The certificate of %s cannot be trusted: %s.", hosts,
                                   verify != NULL ? verify : "not verified");
        }
}

/* Where trusting a CA is not, or may not be, the remedy. NULL: the finding's own. */
static char *advice_of(const struct netfault *group)
{
        const json_t *event = group->events[0];
        const char *missing = event_get_str(event, "missing"), *exe = event_get_str(event, "exe");

        if (is_strict_refusal(event))
                return text_format("%s keeps to RFC 5280, as Python does from 3.13 on: who runs "
                                   "the host must have its certificates made anew, with key "
                                   "identifiers and key usage. Do not turn verification off.",
                                   exe != NULL ? text_base(exe) : "The program");
        if (group->code != FINDING_ORIGIN_UNTRUSTED || missing == NULL ||
            event_get_str(event, "missing_issuer") != NULL)
                return NULL;
        return text_format(
                "If %s is a CA in between, who runs the host must send its certificate "
                "too (the command shows what is sent). If it is the CA of a company's "
                "proxy or of a private index, trust it: export "
                "SSL_CERT_FILE=/path/to/bundle.pem, and for Python's requests and Node "
                "REQUESTS_CA_BUNDLE and NODE_EXTRA_CA_CERTS. Do not turn verification off.",
                missing);
}

/* What rests on signs that another cause may leave as well. */
static bool is_likely(const struct netfault *group)
{
        const json_t *event = group->events[0];

        switch (group->code) {
        case FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN:
                return event_get_str(event, "missing_issuer") == NULL;
        case FINDING_CLIENT_DISTRUSTS_TAPLINE:
                return event_get_str(event, "alert") == NULL;
        default:
                return is_strict_refusal(event);
        }
}

static void report_group(const struct facts *facts, const struct netfault *group,
                         struct findings *findings)
{
        struct draft *d = findings_add(findings, group->code, group->events[0]);
        char *hosts = netfault_hosts(group);

        if (d != NULL && hosts != NULL) {
                if (is_likely(group))
                        d->confidence = CONFIDENCE_LIKELY;
                d->summary = summary_of(group, hosts);
                d->advice = advice_of(group);
                for (size_t i = 0; i < group->count && i < EVIDENCE_MAX; i++)
                        add_line(d, group->events[i],
                                 group->host_count > 0 ? group->hosts[0] : "?");
                netfault_proof(d, facts, group);
                add_command(d, facts, group);
        }
        free(hosts);
}

/* Certificates of different hosts by one unknown issuer, or by one that is known for it. */
static void rule_intercepted(const struct facts *facts, const struct netfault *group,
                             struct findings *findings)
{
        const char *issuer = event_get_str(group->events[0], "issuer");
        bool known = CONTAINS(issuer, interceptors), same = issuer != NULL;
        struct netfault other = *group;

        for (size_t i = 0; i < group->count && i < EVIDENCE_MAX; i++)
                same = same && event_field_is(group->events[i], "issuer", issuer);
        other.code = FINDING_TLS_INTERCEPTED_BY_OTHER;
        if (!known && !(same && group->host_count > 1))
                return;
        report_group(facts, &other, findings);
        if (findings->count > 0 && group->host_count < 2)
                findings->drafts[findings->count - 1].confidence = CONFIDENCE_LIKELY;
}

/* Certificates that fail for their dates, and servers whose clocks agree with the certificates. */
static void rule_clock(const struct facts *facts, const struct netfault *group,
                       struct findings *findings)
{
        struct clock_skew skew;
        struct draft *d;

        clock_measure(facts, &skew);
        if (!clock_explains(&skew, group->events[0]) ||
            (d = findings_add(findings, FINDING_CLOCK_SKEW, group->events[0])) == NULL)
                return;
        d->confidence = skew.hosts > 1 ? CONFIDENCE_CERTAIN : CONFIDENCE_LIKELY;
        d->summary = clock_summary(&skew);
        add_line(d, group->events[0], group->host_count > 0 ? group->hosts[0] : "?");
        clock_proof(d, &skew);
        add_command(d, facts, &(struct netfault){.code = FINDING_CLOCK_SKEW});
}

void rules_tls(const struct facts *facts, struct findings *findings)
{
        struct netfaults all = {0};

        for (size_t i = 0; i < facts->events->count; i++)
                if (event_is(facts->events->items[i], "tls"))
                        take(facts, facts->events->items[i], &all);
        for (size_t i = 0; i < all.count; i++) {
                const struct netfault *group = &all.groups[i];

                report_group(facts, group, findings);
                if (group->code == FINDING_ORIGIN_UNTRUSTED ||
                    group->code == FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN)
                        rule_intercepted(facts, group, findings);
                if (group->code == FINDING_ORIGIN_CERTIFICATE_EXPIRED ||
                    group->code == FINDING_ORIGIN_CERTIFICATE_NOT_YET_VALID)
                        rule_clock(facts, group, findings);
        }
}
