/* Rules about which way was taken: past the proxy that the environment names, or through it where
 * the no_proxy list was meant to prevent that. After the rules of network and proxy: what they
 * found is explained by these (findings_table.c). */
#include "explain/netfault.h"
#include "explain/noproxy.h"

#include <stdlib.h>
#include <string.h>

/* A failed attempt, and what the environment says about its way. */
struct detour {
        const json_t *event;
        const char *host;
        int64_t port;
        const char *variable, *proxy; /* that names a proxy */
        const char *list_name, *list; /* no_proxy */
        const char *entry;            /* of list, borrowed */
        size_t entry_len;
};

static const char *set_in(const struct facts *facts, const char *const *names, const char **name)
{
        const json_t *environment = json_object_get(facts->start, "environment");

        for (; *names != NULL; names++) {
                const char *value = event_get_str(environment, *names);

                if (value != NULL && *value != '\0') {
                        *name = *names;
                        return value;
                }
        }
        return NULL;
}

static void read_environment(const struct facts *facts, struct detour *d)
{
        static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                            NULL};
        static const char *const http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
        static const char *const lists[] = {"no_proxy", "NO_PROXY", NULL};

        d->proxy = set_in(facts, d->port == 80 ? http : https, &d->variable);
        d->list = set_in(facts, lists, &d->list_name);
}

static bool is_loopback(const char *host)
{
        return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
               strcmp(host, "localhost") == 0;
}

/* Where direct ways do not exist at all, this is how it shows; a refusal came from somebody. */
static bool shows_no_way(const json_t *event)
{
        return !event_field_is(event, "errno", "ECONNREFUSED") &&
               !event_field_is(event, "errno", "ECONNRESET");
}

/* Does the process that wanted this go to the proxy for others? Then it knows it. */
static bool uses_proxy(const struct facts *facts, const struct flow *flow, const char *proxy)
{
        for (const struct flow *f = facts->flows; f != NULL; f = f->hh.next)
                if (flow != NULL && f->process == flow->process && f->host != NULL &&
                    strstr(proxy, f->host) != NULL)
                        return true;
        return false;
}

static void add_evidence(struct draft *f, const struct detour *d)
{
        const char *error = event_get_str(d->event, "error");
        char *to = text_endpoint(d->host, d->port);

        if (error == NULL)
                error = text_errno(event_get_str(d->event, "errno"));
        text_add_at(&f->evidence, d->event, "connection to %s failed: %s", to ? to : d->host,
                    error);
        if (d->list != NULL)
                text_add(&f->evidence, "%s is set to %s", d->list_name, d->list);
        if (d->proxy != NULL)
                text_add(&f->evidence, "%s is set to %s", d->variable, d->proxy);
        free(to);
}

static void export_list(struct draft *f, const char *name, char *list)
{
        char *quoted = list != NULL ? text_quote(list) : NULL;

        if (quoted != NULL)
                text_add(&f->commands, "export %s=%s", name, quoted);
        free(quoted);
        free(list);
}

static void report_listed(const struct detour *d, struct findings *findings)
{
        struct draft *f = findings_add(findings, FINDING_NO_PROXY_MISMATCH, d->event);

        if (f == NULL)
                return;
        f->confidence = CONFIDENCE_LIKELY;
        f->summary = text_format("%s is reached without the proxy because %s names it (%.*s), and "
                                 "there is no direct way.",
                                 d->host, d->list_name, (int)d->entry_len, d->entry);
        f->advice = text_format("If the host is outside, take it off the list.");
        add_evidence(f, d);
        export_list(f, d->list_name, noproxy_without(d->list, d->entry, d->entry_len));
}

static void report_meant(const struct detour *d, struct findings *findings)
{
        struct draft *f = findings_add(findings, FINDING_NO_PROXY_MISMATCH, d->event);

        if (f == NULL)
                return;
        f->summary = text_format("%s goes through the proxy although %s was meant to prevent it: "
                                 "%.*s is not how an entry is written.",
                                 d->host, d->list_name, (int)d->entry_len, d->entry);
        add_evidence(f, d);
        export_list(f, d->list_name, noproxy_corrected(d->list));
}

static void report_ignored(const struct facts *facts, const struct detour *d,
                           struct findings *findings)
{
        struct draft *f = findings_add(findings, FINDING_PROXY_IGNORED_BY_TOOL, d->event);
        const struct flow *flow = facts_flow(facts, d->event);
        const char *exe = event_get_str(d->event, "exe");
        char *command = text_command(json_object_get(facts->start, "command"));

        if (f == NULL || command == NULL) {
                free(command);
                return;
        }
        if (flow != NULL && flow->process != NULL && flow->process->tool != NULL)
                exe = flow->process->tool->title;
        f->summary =
                text_format("%s does not use the proxy that %s names, and %s cannot be reached "
                            "without it.",
                            exe != NULL ? text_base(exe) : "The program", d->variable, d->host);
        f->advice = text_format("tapline can take its connections through the proxy for it.");
        add_evidence(f, d);
        if (*command != '\0')
                text_add(&f->commands, "tapline run -- %s", command);
        free(command);
}

/* Returns true if something was said about this attempt. */
static bool take_direct(const struct facts *facts, struct detour *d, struct findings *findings)
{
        bool direct_asked = event_get_str(facts->start, "upstream") == NULL;

        if (d->proxy == NULL || is_loopback(d->host) || !shows_no_way(d->event))
                return false;
        if (d->list != NULL &&
            noproxy_find(d->list, d->host, &d->entry, &d->entry_len) == NOPROXY_MATCH) {
                report_listed(d, findings);
                return true;
        }
        if (!direct_asked || uses_proxy(facts, facts_flow(facts, d->event), d->proxy))
                return false;
        report_ignored(facts, d, findings);
        return true;
}

static bool take_proxied(struct detour *d, struct findings *findings)
{
        if (d->list == NULL ||
            noproxy_find(d->list, d->host, &d->entry, &d->entry_len) != NOPROXY_MEANT)
                return false;
        report_meant(d, findings);
        return true;
}

static bool take(const struct facts *facts, const json_t *event, struct findings *findings)
{
        const struct flow *flow = facts_flow(facts, event);
        struct detour d = {.event = event,
                           .host = event_get_str(event, "host"),
                           .port = event_get_int(event, "port", 0)};
        const struct host *host;
        const char *via = event_get_str(event, "via");

        if (flow != NULL && flow->host != NULL)
                d.host = flow->host;
        host = facts_host(facts, d.host, d.port);
        if (d.host == NULL || (host != NULL && host->reached_us > netfault_began_us(event)))
                return false;
        read_environment(facts, &d);
        return via == NULL || strcmp(via, "direct") == 0 ? take_direct(facts, &d, findings)
                                                         : take_proxied(&d, findings);
}

/* A lookup that failed is the first that goes wrong where only the proxy knows names. */
static bool take_lookup(const struct facts *facts, const json_t *event, struct findings *findings)
{
        struct detour d = {.event = event, .host = event_get_str(event, "name"), .port = 443};
        const struct host *host = facts_host(facts, d.host, 0);
        const struct process *p = facts_process(facts, event_get_int(event, "pid", 0));

        if (d.host == NULL || p == NULL || strchr(d.host, '.') == NULL ||
            event_field_is(event, "result", "ok") ||
            (host != NULL && host->resolved_us > netfault_began_us(event)))
                return false;
        read_environment(facts, &d);
        /* It knows the proxy if it looks the proxy's own name up. */
        return d.proxy != NULL && strstr(d.proxy, d.host) == NULL &&
               take_direct(facts, &d, findings);
}

void rules_route(const struct facts *facts, struct findings *findings)
{
        static const uint64_t faults =
                FINDING_BIT(FINDING_PROXY_IGNORED_BY_TOOL) | FINDING_BIT(FINDING_NO_PROXY_MISMATCH);

        for (size_t i = 0; i < facts->events->count && !findings_has_error(findings, faults); i++) {
                const json_t *event = facts->events->items[i];

                if (event_is(event, "upstream") && event_field_is(event, "result", "failed"))
                        take(facts, event, findings);
                else if (event_is(event, "name.lookup"))
                        take_lookup(facts, event, findings);
        }
}
