/* The events of a flow; see flow_event.h. */
#include "net/flow_event.h"
#include "net/head.h"
#include "net/race.h"
#include "record/mask.h"

#include <stdio.h>
#include <string.h>

struct event_who flow_who(const struct flow *flow)
{
        return (struct event_who){.pid = flow->pid, .tid = flow->tid, .exe = flow->exe};
}

/* The schemes of a 407's challenges: their parameters are nobody's business. */
static void write_challenges(struct event *e, const char *head_text, size_t len)
{
        static _Thread_local struct head head;
        char schemes[128];
        size_t used = 0;

        if (head_parse_response(head_text, len, &head) != HEAD_OK)
                return;
        for (size_t i = 0; i < head.field_count; i++) {
                const struct text value = head.fields[i].value;
                size_t n = 0;

                if (!text_is_nocase(head.fields[i].name, "Proxy-Authenticate"))
                        continue;
                while (n < value.len && value.at[n] != ' ' && value.at[n] != ',')
                        n++;
                if (used + n + 3 > sizeof schemes)
                        break;
                if (used > 0) {
                        memcpy(schemes + used, ", ", 2);
                        used += 2;
                }
                memcpy(schemes + used, value.at, n);
                used += n;
        }
        if (used > 0)
                event_strn(e, "proxy_challenge", schemes, used);
}

/* The start of a refusal's page. It may quote the address that was asked for, secrets and all. */
static void write_page(struct event *e, const struct dial_result *result)
{
        char masked[2048];
        size_t len = result->after_len < sizeof masked ? result->after_len : sizeof masked;

        len = mask_url(result->after, len, masked, sizeof masked);
        event_strn(e, "proxy_body", masked, len);
}

static void write_proxy(struct event *e, const struct dial_result *result)
{
        static _Thread_local struct head head;

        event_int(e, "proxy_status", result->proxy_status);
        if (head_parse_response(result->proxy_head, result->proxy_head_len, &head) == HEAD_OK)
                event_strn(e, "proxy_reason", head.reason.at, head.reason.len);
        write_challenges(e, result->proxy_head, result->proxy_head_len);
        event_bool(e, "credentials", result->credentials);
        if (result->stage != DIAL_DONE)
                write_page(e, result);
}

/* Of several addresses, where not everything went well: what became of each. */
static void write_tries(struct event *e, const struct dial_result *result)
{
        bool failed = false;
        char text[96];

        for (size_t i = 0; i < result->try_count; i++)
                failed = failed || result->tries[i].error != 0;
        if (!failed || result->try_count < 2)
                return;
        event_open_array(e, "attempts");
        for (size_t i = 0; i < result->try_count; i++) {
                const struct race_try *t = &result->tries[i];
                const char *end = t->error != 0 ? event_errno_name(t->error)
                                  : strcmp(t->address, result->address) == 0 ? "connected"
                                                                             : "dropped";

                snprintf(text, sizeof text, "%s %s", t->address, end);
                event_str(e, NULL, text);
        }
        event_close_array(e);
}

void flow_event_upstream(const struct flow *flow, const struct dial_result *result)
{
        static const char *const stages[] = {"resolve", "connect", "proxy", NULL};
        struct event_who who = flow_who(flow);
        struct event e;
        char literal[64];

        if (!record_is_kept(flow->relay->record))
                return;
        event_begin(&e, EVENT_UPSTREAM, &who, flow->id);
        event_str(&e, "via", flow->via != NULL ? flow->via->shown : "direct");
        if (result->hop != NULL && flow->via->hops->next != NULL && result->stage != DIAL_DONE)
                event_str(&e, "hop", result->hop->shown);
        address_literal(&flow->address, literal);
        event_str(&e, "host", flow->name != NULL ? flow->name : literal);
        event_int(&e, "port", flow->port);
        if (result->address[0] != '\0')
                event_str(&e, "address", result->address);
        event_str(&e, "result", result->stage == DIAL_DONE ? "connected" : "failed");
        event_str(&e, "stage", stages[result->stage]);
        if (result->stage != DIAL_DONE) {
                event_str(&e, "errno", event_errno_name(result->error));
                event_str(&e, "error", result->text);
        }
        write_tries(&e, result);
        if (result->proxy_status != 0)
                write_proxy(&e, result);
        else if (result->hop != NULL && !hop_is_http(result->hop))
                event_bool(&e, "credentials", result->credentials);
        if (result->auth_wanted)
                event_bool(&e, "proxy_login", true);
        event_ms(&e, "duration_ms", result->duration_us);
        record_write(flow->relay->record, &e);
}

/* An explicit client that has asked for nothing yet is no connection: health checks come and go. */
static bool has_target(const struct flow *flow)
{
        return (flow->kind != FLOW_HTTP && flow->kind != FLOW_SOCKS) || flow->name != NULL ||
               flow->address.family != 0;
}

void flow_event_close(const struct flow *flow, const struct flow_end *end)
{
        struct event_who who = flow_who(flow);
        struct event e;

        if (!has_target(flow)) {
                if (end->error != 0 && !flow_is_idle(flow))
                        relay_note_lost(flow->relay,
                                        "a client was lost before it had asked for anything",
                                        end->error);
                return;
        }
        if (!record_is_kept(flow->relay->record))
                return;
        event_begin(&e, EVENT_FLOW_CLOSE, &who, flow->id);
        event_int(&e, "client_to_server",
                  (int64_t)(flow->intercept != NULL ? intercept_client_bytes(flow->intercept)
                                                    : flow->client.received));
        event_int(&e, "server_to_client",
                  (int64_t)(flow->intercept != NULL ? intercept_server_bytes(flow->intercept)
                                                    : flow->server.received));
        event_str(&e, "first", end->first);
        event_str(&e, "how", end->how);
        event_str(&e, "reason", end->reason);
        if (end->error != 0)
                event_str(&e, "errno", event_errno_name(end->error));
        event_str(&e, "name", flow->name);
        event_int(&e, "port", flow->port);
        event_ms(&e, "duration_ms", loop_now_us(flow->relay->loop) - flow->started_us);
        record_write(flow->relay->record, &e);
}
