/* Rules about the way to a host without a proxy: names that were not found, connections that
 * failed. A failure counts only if nothing made it good: no later success with the same host, which
 * leaves out retries, fallback addresses and the losers of Happy Eyeballs (RFC 8305). */
#include "explain/netfault.h"

#include <stdlib.h>
#include <string.h>

/* What EAI codes mean that speak of the name and not of the call. */
static const struct {
        const char *name, *meaning;
        bool server; /* the name server is at fault, not the name */
} lookup_failures[] = {
        {"EAI_NONAME", "the name does not exist", false},
        {"EAI_NODATA", "the name has no address", false},
        {"EAI_ADDRFAMILY", "the name has no address of this family", false},
        {"EAI_AGAIN", "the name server did not answer", true},
        {"EAI_FAIL", "the name server reported a failure", true},
        {"EAI_SYSTEM", "the lookup failed", true},
};

static const struct {
        const char *name;
        enum finding_code code;
} errnos[] = {
        {"ECONNREFUSED", FINDING_CONNECTION_REFUSED},
        {"ECONNRESET", FINDING_CONNECTION_REFUSED},
        {"ETIMEDOUT", FINDING_CONNECTION_TIMED_OUT},
};

static int lookup_failure(const json_t *event)
{
        for (size_t i = 0; i < sizeof lookup_failures / sizeof lookup_failures[0]; i++)
                if (event_field_is(event, "result", lookup_failures[i].name))
                        return (int)i;
        return -1;
}

/* A name without a dot is often this machine's own, which many programs look up and few need: it is
 * the cause only if its process got nothing from anybody. */
static bool lookup_is_certain(const struct facts *facts, const json_t *event, const char *name)
{
        const struct process *p = facts_process(facts, event_get_int(event, "pid", 0));

        return strchr(name, '.') != NULL || p == NULL || p->answers == 0;
}

static void take_lookup(const struct facts *facts, const json_t *event, struct netfaults *all)
{
        const char *name = event_get_str(event, "name");
        const struct host *host = name != NULL ? facts_host(facts, name, 0) : NULL;

        if (name == NULL || lookup_failure(event) < 0)
                return;
        if (host != NULL && host->resolved_us > netfault_began_us(event))
                return;
        netfault_add(all, &(struct netfault_item){
                                  .code = lookup_failures[lookup_failure(event)].server
                                                  ? FINDING_RESOLVER_UNREACHABLE
                                                  : FINDING_NAME_NOT_FOUND,
                                  .host = name,
                                  .event = event,
                                  .certain = lookup_is_certain(facts, event, name),
                          });
}

static enum finding_code code_of(const json_t *event)
{
        if (event_field_is(event, "stage", "resolve"))
                return event_field_is(event, "errno", "EAGAIN") ? FINDING_RESOLVER_UNREACHABLE
                                                                : FINDING_NAME_NOT_FOUND;
        for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++)
                if (event_field_is(event, "errno", errnos[i].name))
                        return errnos[i].code;
        return FINDING_HOST_UNREACHABLE;
}

static enum finding_code code_of_address(const struct facts *facts, const json_t *event,
                                         const char *name, const struct flow *flow)
{
        const char *address = event_get_str(event, "address");
        enum finding_code code = code_of(event);

        address = address == NULL && flow != NULL ? flow->address : address;
        return (code == FINDING_CONNECTION_TIMED_OUT || code == FINDING_HOST_UNREACHABLE) &&
                               netfault_is_ipv6(facts, address, name)
                       ? FINDING_IPV6_BROKEN
                       : code;
}

static bool lookup_gave(const json_t *event, const char *wanted)
{
        const json_t *addresses = json_object_get(event, "addresses");

        for (size_t i = 0; i < json_array_size(addresses); i++) {
                const char *address = json_string_value(json_array_get(addresses, i));

                if (address != NULL && strcmp(address, wanted) == 0)
                        return true;
        }
        return false;
}

static bool is_loopback(const char *address)
{
        return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* Did one lookup of this process give both addresses? curl knows localhost's without one. */
static bool are_of_one_name(const struct facts *facts, const struct process *p, const char *one,
                            const char *other)
{
        if (is_loopback(one) && is_loopback(other))
                return true;
        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];

                if (event_is(event, "name.lookup") && event_get_int(event, "pid", 0) == p->pid &&
                    lookup_gave(event, one) && lookup_gave(event, other))
                        return true;
        }
        return false;
}

/* The loser of a race (RFC 8305): the same process had got through to another address of the name
 * a moment before. */
static bool is_loser(const struct facts *facts, const struct flow *flow, const json_t *event)
{
        enum { RACE_US = 2000000 };

        for (const struct flow *f = facts->flows;
             f != NULL && flow != NULL && flow->address != NULL; f = f->hh.next) {
                const char *address = f->address;

                if (f == flow || f->process == NULL || f->process != flow->process ||
                    f->port != flow->port || address == NULL ||
                    !event_field_is(f->upstream, "result", "connected") ||
                    event_get_time_us(f->upstream) < netfault_began_us(event) - RACE_US)
                        continue;
                if (are_of_one_name(facts, f->process, address, flow->address))
                        return true;
        }
        return false;
}

static void take_upstream(const struct facts *facts, const json_t *event, struct netfaults *all)
{
        const struct flow *flow = facts_flow(facts, event);
        const char *name = event_get_str(event, "host");
        int64_t port = event_get_int(event, "port", 0);
        enum finding_code code;
        const struct host *host;

        name = flow != NULL && flow->host != NULL ? flow->host : name;
        if (name == NULL)
                return;
        code = code_of_address(facts, event, name, flow);
        host = facts_host(facts, name, port);
        if ((host != NULL && host->reached_us > netfault_began_us(event)) ||
            is_loser(facts, flow, event))
                return;
        netfault_add(all, &(struct netfault_item){
                                  .code = code,
                                  .host = name,
                                  .port = code == FINDING_NAME_NOT_FOUND ||
                                                          code == FINDING_RESOLVER_UNREACHABLE
                                                  ? 0
                                                  : port,
                                  .event = event,
                                  .certain = true,
                          });
}

static bool is_direct(const json_t *event)
{
        const char *via = event_get_str(event, "via");

        return via == NULL || strcmp(via, "direct") == 0;
}

static char *summary_of(const struct netfault *group, const char *hosts)
{
        const json_t *event = group->events[0];
        int lookup = lookup_failure(event);

        switch (group->code) {
        case FINDING_RESOLVER_UNREACHABLE:
                return text_format("The name %s cannot be resolved: %s.", hosts,
                                   lookup >= 0 ? lookup_failures[lookup].meaning
                                               : "the name server did not answer");
        case FINDING_NAME_NOT_FOUND:
                return text_format("The name %s cannot be resolved.", hosts);
        case FINDING_IPV6_BROKEN:
                return text_format("%s cannot be reached by IPv6 (%s), and could be by IPv4.",
                                   hosts, text_errno(event_get_str(event, "errno")));
        case FINDING_CONNECTION_REFUSED:
                return text_format("%s refuses connections.", hosts);
        case FINDING_CONNECTION_TIMED_OUT:
                return text_format("%s does not answer: connections to it time out.", hosts);
        default:
                return text_format("%s cannot be reached: %s.", hosts,
                                   text_errno(event_get_str(event, "errno")));
        }
}

static void add_lookup_line(struct draft *d, const json_t *event)
{
        int lookup = lookup_failure(event);

        text_add_at(&d->evidence, event, "lookup of %s failed: %s (%s)",
                    event_get_str(event, "name"), lookup_failures[lookup].meaning,
                    lookup_failures[lookup].name);
}

static void add_connection_line(struct draft *d, const json_t *event, const struct flow *flow)
{
        const char *name = flow != NULL && flow->host ? flow->host : event_get_str(event, "host");
        const char *address = event_get_str(event, "address"),
                   *error = event_get_str(event, "errno");
        bool other = address != NULL && name != NULL && strcmp(address, name) != 0;
        const char *sentence = event_get_str(event, "error");
        char *to = text_endpoint(name != NULL ? name : "the host", event_get_int(event, "port", 0));

        if (error == NULL && sentence == NULL)
                sentence = "no reason given";
        text_add_at(&d->evidence, event, "connection to %s%s%s%s failed: %s%s%s%s", to ? to : "",
                    other ? " (" : "", other ? address : "", other ? ")" : "",
                    error != NULL ? text_errno(error) : sentence, error != NULL ? " (" : "",
                    error != NULL ? error : "", error != NULL ? ")" : "");
        free(to);
}

/* What makes the tool use IPv4; few know a variable for it. */
static void add_ipv4_commands(struct draft *d, const struct facts *facts)
{
        const char *first =
                json_string_value(json_array_get(json_object_get(facts->start, "command"), 0));

        if (first != NULL && strcmp(text_base(first), "curl") == 0)
                text_add(&d->commands, "mkdir -p \"${TMPDIR:-/tmp}/curl-$(id -u)\" && echo ipv4 "
                                       ">\"${TMPDIR:-/tmp}/curl-$(id -u)/.curlrc\" && export "
                                       "CURL_HOME=\"${TMPDIR:-/tmp}/curl-$(id -u)\"");
        else
                text_add(&d->commands, "export NODE_OPTIONS=\"${NODE_OPTIONS:+$NODE_OPTIONS }"
                                       "--dns-result-order=ipv4first\"");
}

static void add_command(struct draft *d, const struct facts *facts, const struct netfault *group)
{
        int64_t port = group->ports[0];
        char *to = group->host_count > 0 ? text_endpoint(group->hosts[0], port) : NULL;
        char *host = to != NULL ? text_quote(to) : NULL;

        free(to);
        if (host == NULL)
                return;
        if (group->code == FINDING_IPV6_BROKEN)
                add_ipv4_commands(d, facts);
        else if (group->code == FINDING_NAME_NOT_FOUND ||
                 group->code == FINDING_RESOLVER_UNREACHABLE)
                text_add(&d->commands, "getent ahosts %s", host);
        else
                text_add(&d->commands, "curl -sv -o /dev/null --connect-timeout 10 %s://%s/",
                         port == 80 ? "http" : "https", host);
        free(host);
}

static void report_group(const struct facts *facts, const struct netfault *group,
                         struct findings *findings)
{
        struct draft *d = findings_add(findings, group->code, group->events[0]);
        char *hosts = netfault_hosts(group);

        if (d != NULL && hosts != NULL) {
                d->severity = group->certain ? d->severity : SEVERITY_WARNING;
                d->summary = summary_of(group, hosts);
                for (size_t i = 0; i < group->count && i < EVIDENCE_MAX; i++) {
                        if (event_is(group->events[i], "name.lookup"))
                                add_lookup_line(d, group->events[i]);
                        else
                                add_connection_line(d, group->events[i],
                                                    facts_flow(facts, group->events[i]));
                }
                netfault_proof(d, facts, group);
                add_command(d, facts, group);
        }
        free(hosts);
}

void rules_network(const struct facts *facts, struct findings *findings)
{
        struct netfaults all = {0};

        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];

                if (event_is(event, "name.lookup"))
                        take_lookup(facts, event, &all);
                else if (event_is(event, "upstream") && event_field_is(event, "result", "failed") &&
                         is_direct(event))
                        take_upstream(facts, event, &all);
        }
        for (size_t i = 0; i < all.count; i++)
                report_group(facts, &all.groups[i], findings);
}
