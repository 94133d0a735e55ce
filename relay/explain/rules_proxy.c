/* Rules about proxies: the upstream of tapline, and one that the program speaks to by itself and
 * that was seen in its HTTP. A 407 is believed only if no later attempt at the same target got
 * through: the first half of an authentication is no fault. */
#include "explain/netfault.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* RFC 9110 section 15.5.8. Tinyproxy says 401 where the credentials are wrong. */
enum { AUTH_REQUIRED = 407, AUTH_WRONG = 401 };

/* The proxy's URL without its (masked) credentials: what stands after "@". */
static const char *proxy_address(const char *via)
{
        const char *at = strrchr(via, '@'), *scheme = strstr(via, "://");

        return at != NULL ? at + 1 : scheme != NULL ? scheme + 3 : via;
}

/* A page for a person. Proxies send one with nearly every error; the words of those that say only
 * that they are in trouble are no block. */
static bool is_page(const char *body)
{
        return body != NULL &&
               (strcasestr(body, "<html") != NULL || strcasestr(body, "<!doctype html") != NULL);
}

static enum finding_code code_of(const json_t *event)
{
        int64_t status = event_get_int(event, "proxy_status", 0);

        if (status == AUTH_REQUIRED || status == AUTH_WRONG ||
            event_get_bool(event, "proxy_login", false))
                return event_get_bool(event, "credentials", false) ? FINDING_PROXY_AUTH_REJECTED
                                                                   : FINDING_PROXY_AUTH_REQUIRED;
        if (status >= 400 && status < 500 && is_page(event_get_str(event, "proxy_body")))
                return FINDING_PROXY_BLOCK_PAGE;
        if (status > 0 || event_field_is(event, "stage", "proxy"))
                return FINDING_PROXY_REFUSED_TUNNEL;
        return FINDING_PROXY_UNREACHABLE;
}

static void take_upstream(const struct facts *facts, const json_t *event, struct netfaults *all)
{
        const struct flow *flow = facts_flow(facts, event);
        const char *via = event_get_str(event, "via"), *name = event_get_str(event, "host");
        int64_t port = event_get_int(event, "port", 0);
        const struct host *host;

        if (via == NULL || strcmp(via, "direct") == 0 || !event_field_is(event, "result", "failed"))
                return;
        name = flow != NULL && flow->host != NULL ? flow->host : name;
        host = facts_host(facts, name, port);
        /* Of a chain it is one proxy that failed. */
        if (event_get_str(event, "hop") != NULL)
                via = event_get_str(event, "hop");
        if (host == NULL || host->reached_us <= netfault_began_us(event))
                netfault_add(all, &(struct netfault_item){code_of(event), proxy_address(via), name,
                                                          port, event, true});
}

static bool sent_credentials(const json_t *request)
{
        const json_t *headers = json_object_get(request, "headers");

        for (size_t i = 0; i < json_array_size(headers); i++) {
                const json_t *name = json_array_get(json_array_get(headers, i), 0);

                if (json_is_string(name) &&
                    strcasecmp(json_string_value(name), "Proxy-Authorization") == 0)
                        return true;
        }
        return false;
}

/* An answer of a proxy to the program itself. Where tapline was that proxy, its own upstream event
 * says more. */
static void take_response(const struct facts *facts, const json_t *event, struct netfaults *all)
{
        const struct flow *flow = facts_flow(facts, event);
        const json_t *request = facts_request(facts, event);
        int64_t status = event_get_int(event, "status", 0);
        enum finding_code code = FINDING_PROXY_REFUSED_TUNNEL;
        const struct host *proxy;

        if (status != AUTH_REQUIRED &&
            (status < 400 || !event_field_is(request, "method", "CONNECT")))
                return;
        if (flow == NULL || flow->host == NULL ||
            event_field_is(flow->upstream, "result", "failed"))
                return;
        proxy = facts_host(facts, flow->host, 0);
        if (proxy != NULL && proxy->answered_us > event_get_time_us(event))
                return;
        if (status == AUTH_REQUIRED)
                code = sent_credentials(request) ? FINDING_PROXY_AUTH_REJECTED
                                                 : FINDING_PROXY_AUTH_REQUIRED;
        netfault_add(all, &(struct netfault_item){code, flow->host, flow->host, flow->port, event,
                                                  true});
}

/* A page's title, or else the first words of whatever it is. Caller owns. */
static char *words_of_page(const char *body)
{
        const char *at = strcasestr(body, "<title>");
        char words[120];
        size_t n = 0;
        bool tag = false;

        for (at = at != NULL ? at + strlen("<title>") : body; *at != '\0' && n + 1 < sizeof words;
             at++) {
                if (strncasecmp(at, "</title", 7) == 0)
                        break;
                tag = *at == '<' || (tag && at[-1] != '>');
                if (!tag && (*at > ' ' || (n > 0 && words[n - 1] != ' ')))
                        words[n++] = *at > ' ' ? *at : ' ';
        }
        words[n] = '\0';
        return text_format("%s", words);
}

/* "502 Bad Gateway", or what happened instead of an answer. Caller owns. */
static char *refusal(const json_t *event)
{
        bool answer = event_is(event, "http.response");
        int64_t status = event_get_int(event, answer ? "status" : "proxy_status", 0);
        const char *reason = event_get_str(event, answer ? "reason" : "proxy_reason");
        const char *error = event_get_str(event, "error");

        if (status > 0 && reason != NULL && *reason != '\0')
                return text_format("%lld %s", (long long)status, reason);
        if (status > 0)
                return text_format("%lld", (long long)status);
        if (error == NULL)
                error = text_errno(event_get_str(event, "errno"));
        return text_format("%s", error);
}

static char *summary_of_page(const json_t *event, const char *via, const char *hosts,
                             const char *why)
{
        const char *body = event_get_str(event, "proxy_body");
        char *words = words_of_page(body != NULL ? body : ""), *text;

        text = text_format("The proxy %s blocks %s (%s) with a page of its own: \"%s\".", via,
                           hosts, why, words != NULL ? words : "");
        free(words);
        return text;
}

static char *summary_of(const struct netfault *group, const char *via, const char *hosts,
                        const char *why)
{
        switch (group->code) {
        case FINDING_PROXY_BLOCK_PAGE:
                return summary_of_page(group->events[0], via, hosts, why);
        case FINDING_PROXY_AUTH_REQUIRED:
                return text_format("The proxy %s wants a user name and a password, and none was "
                                   "sent to it.",
                                   via);
        case FINDING_PROXY_AUTH_REJECTED:
                return text_format("The proxy %s does not accept the user name or the password.",
                                   via);
        case FINDING_PROXY_UNREACHABLE:
                return text_format("The proxy %s cannot be reached: %s.", via, why);
        default:
                return event_get_int(group->events[0], "proxy_status", 0) > 0 ||
                                       event_is(group->events[0], "http.response")
                               ? text_format("The proxy %s refuses the tunnel to %s: %s.", via,
                                             hosts, why)
                               : text_format("The proxy %s gave no tunnel to %s: %s.", via, hosts,
                                             why);
        }
}

static void add_line(struct draft *d, const json_t *event, const char *via, bool first)
{
        const char *challenge = event_get_str(event, "proxy_challenge");
        const char *body = event_get_str(event, "proxy_body");
        const char *name = event_get_str(event, "host");
        char *why = refusal(event), *words;

        if (event_is(event, "http.response"))
                text_add_at(&d->evidence, event, "%s from the proxy %s for %s", why ? why : "", via,
                            event_get_str(event, "url") ? event_get_str(event, "url")
                                                        : "a request");
        else
                text_add_at(&d->evidence, event, "%s: tunnel to %s:%lld through %s%s%s%s",
                            why ? why : "", name != NULL ? name : "the host",
                            (long long)event_get_int(event, "port", 0), via,
                            challenge ? " (it asks for " : "", challenge ? challenge : "",
                            challenge ? ")" : "");
        words = body != NULL && first ? words_of_page(body) : NULL;
        if (words != NULL && *words != '\0')
                text_add(&d->evidence, "the proxy says: %s", words);
        free(words);
        free(why);
}

/* "http://USER:PASSWORD@proxy:3128" as a word of a shell. Caller owns. */
static char *url_with_credentials(const char *scheme_of, const char *via)
{
        int scheme =
                scheme_of != NULL && strstr(scheme_of, "://") ? (int)strcspn(scheme_of, ":") : 0;
        char *url = text_format("%.*s://USER:PASSWORD@%s", scheme > 0 ? scheme : 4,
                                scheme > 0 ? scheme_of : "http", via);
        char *quoted = url != NULL ? text_quote(url) : NULL;

        free(url);
        return quoted;
}

/* Where the proxy came from says where its credentials go. */
static void add_credentials_command(struct draft *d, const struct facts *facts, bool ours,
                                    const char *via)
{
        const char *from = event_get_str(facts->start, "upstream_from");
        const char *mode = event_get_str(facts->start, "mode");
        char *url =
                url_with_credentials(ours ? event_get_str(facts->start, "upstream") : NULL, via);
        char *command = text_command(json_object_get(facts->start, "command"));

        if (!ours)
                from = "https_proxy";
        if (url != NULL && from != NULL && strcmp(from, "option") != 0)
                text_add(&d->commands, "export %s=%s", from, url);
        else if (url != NULL && command != NULL)
                text_add(&d->commands, "tapline %s --upstream %s%s%s", mode != NULL ? mode : "run",
                         url, *command != '\0' ? " -- " : "", command);
        free(command);
        free(url);
}

/* The proxy as curl wants it: with its scheme, unless that is http. Caller owns. */
static char *proxy_word(const json_t *event, const char *via)
{
        const char *url = event_get_str(event, "hop");
        const char *scheme, *end;
        char *whole = NULL, *word;

        url = url != NULL ? url : event_get_str(event, "via");
        scheme = url != NULL ? url : "";
        end = strstr(scheme, "://");
        if (end != NULL && strncmp(scheme, "http://", 7) != 0 && strchr(scheme, ',') == NULL)
                whole = text_format("%.*s://%s", (int)(end - scheme), scheme, via);
        word = text_quote(whole != NULL ? whole : via);
        free(whole);
        return word;
}

static void add_check_command(struct draft *d, const struct netfault *group, const char *via)
{
        char *proxy = proxy_word(group->events[0], via), *host = NULL;

        if (group->host_count > 0)
                host = text_quote(group->hosts[0]);
        if (proxy != NULL && host != NULL)
                text_add(&d->commands, "curl -sv -o /dev/null --proxy %s https://%s:%lld/", proxy,
                         host, (long long)group->ports[0]);
        free(host);
        free(proxy);
}

/* One line, without a full stop at its end: it goes into a sentence. */
static void trim_sentence(char *text)
{
        text[strcspn(text, "\r\n")] = '\0';
        if (*text != '\0' && text[strlen(text) - 1] == '.')
                text[strlen(text) - 1] = '\0';
}

static void fill(struct draft *d, const struct facts *facts, const struct netfault *group,
                 const char *hosts, const char *why)
{
        bool ours = event_is(group->events[0], "upstream");
        const char *url = event_get_str(group->events[0], "url");
        const char *via = ours ? group->via : hosts;

        d->summary = summary_of(group, via, ours || url == NULL ? hosts : url, why);
        for (size_t i = 0; i < group->count && i < EVIDENCE_MAX; i++)
                add_line(d, group->events[i], via, i == 0);
        netfault_proof(d, facts, group);
        if (group->code == FINDING_PROXY_AUTH_REQUIRED ||
            group->code == FINDING_PROXY_AUTH_REJECTED)
                add_credentials_command(d, facts, ours, via);
        else if (ours)
                add_check_command(d, group, via);
}

static void report_group(const struct facts *facts, const struct netfault *group,
                         struct findings *findings)
{
        struct draft *d = findings_add(findings, group->code, group->events[0]);
        char *hosts = netfault_hosts(group), *why = refusal(group->events[0]);

        if (d != NULL && hosts != NULL && why != NULL) {
                trim_sentence(why);
                fill(d, facts, group, hosts, why);
        }
        free(hosts);
        free(why);
}

void rules_proxy(const struct facts *facts, struct findings *findings)
{
        struct netfaults all = {0};

        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];

                if (event_is(event, "upstream"))
                        take_upstream(facts, event, &all);
                else if (event_is(event, "http.response"))
                        take_response(facts, event, &all);
        }
        for (size_t i = 0; i < all.count; i++)
                report_group(facts, &all.groups[i], findings);
}
