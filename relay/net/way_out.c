/* The choices of a flow; see way_out.h. */
#include "net/way_out.h"
#include "net/listener.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAILOVER_MS = 10000 }; /* for a connection to a proxy that is not the only choice */

static int64_t now_ms(void)
{
        return (int64_t)(uv_hrtime() / 1000000);
}

void flow_choose(struct flow *flow, const struct upstream *choices)
{
        flow->choices = choices;
        flow->tried = 0;
        flow->via = upstream_pick(choices, 0, now_ms());
}

static void note_up(struct flow *flow)
{
        if (upstream_up(flow->via))
                relay_note(flow->relay, "the upstream %s works again", flow->via->shown);
}

static void note_down(struct flow *flow, const char *why)
{
        int64_t out_ms;

        if (upstream_is_down(flow->via, now_ms()))
                return;
        out_ms = upstream_down(flow->via, now_ms());
        if (out_ms > 0)
                relay_note(flow->relay, "the upstream %s is left out for %lld s: %s",
                           flow->via->shown, (long long)(out_ms / 1000), why);
}

/* The proxy has yet to show, by its answer to a request in absolute form, that it works. */
static bool is_asked_later(const struct flow *flow)
{
        return flow->plain && upstream_http(flow->via) != NULL;
}

/* What the dial says about the health of the way it took. */
static void note_health(struct flow *flow, const struct dial_result *result)
{
        if (flow->via == NULL)
                return;
        if (result->down)
                note_down(flow, result->text);
        else if (result->stage == DIAL_PROXY ||
                 (result->stage == DIAL_DONE && !is_asked_later(flow)))
                note_up(flow);
}

void way_answered(struct flow *flow)
{
        if (is_asked_later(flow))
                note_up(flow);
}

void way_unanswered(struct flow *flow, const char *why)
{
        if (is_asked_later(flow))
                note_down(flow, why);
}

/* A request in absolute form is written already: only such a proxy can take it, and it must not get
 * another one's credentials. */
static bool takes_the_same(const struct flow *flow, const struct upstream *other)
{
        const struct hop *a = upstream_http(flow->via), *b = upstream_http(other);

        if (!flow->plain)
                return true;
        if (a == NULL || b == NULL)
                return a == b;
        return a->credentials == NULL
                       ? b->credentials == NULL
                       : b->credentials != NULL && strcmp(a->credentials, b->credentials) == 0;
}

bool way_next(struct flow *flow, struct dial_result *result)
{
        const struct upstream *next;

        note_health(flow, result);
        if (result->kept_fd >= 0 && flow->may_keep) {
                flow->spare = flow->via;
                flow->spare_fd = result->kept_fd;
                result->kept_fd = -1;
        }
        if (result->stage == DIAL_DONE || !result->down || flow->via == NULL)
                return false;
        flow->tried |= UINT32_C(1) << flow->via->number;
        while ((next = upstream_pick(flow->choices, flow->tried, now_ms())) != NULL &&
               !takes_the_same(flow, next))
                flow->tried |= UINT32_C(1) << next->number;
        if (next == NULL)
                return false;
        flow->via = next;
        return true;
}

static bool is_own(void *ctx, const struct wire_addr *to)
{
        const struct flow *flow = ctx;

        return listener_is_own(flow->relay, to);
}

/* Where there is another way, one that does not answer is not waited for as long. */
static bool has_another(const struct flow *flow)
{
        return flow->via != NULL &&
               upstream_pick(flow->choices, flow->tried | UINT32_C(1) << flow->via->number,
                             now_ms()) != NULL;
}

void way_drop_spare(struct flow *flow)
{
        if (flow->spare != NULL)
                close(flow->spare_fd);
        flow->spare = NULL;
}

void way_forget(struct flow *flow)
{
        way_drop_spare(flow);
        free(flow->connect_fields);
        flow->connect_fields = NULL;
        wipe_free(flow->token);
        flow->token = NULL;
}

void way_hand_over(struct flow *from, struct flow *to)
{
        to->auth_tried = from->auth_tried;
        if (to->options != from->options)
                way_forget(from); /* what it is compared with may have been freed by then */
        to->spare = from->spare;
        to->spare_fd = from->spare_fd;
        from->spare = NULL;
        to->token = from->token;
        to->token_for = from->token_for;
        from->token = NULL;
}

void way_request(struct flow *flow, const char *authorization, struct dial_request *out)
{
        *out = (struct dial_request){
                .name = flow->name,
                .address = flow->address.family != 0 && !flow->made_up ? &flow->address : NULL,
                .port = flow->port,
                .via = flow->via,
                .manner = flow->manner,
                /* Who does not block is told of a refusal by an event, after connect(2). */
                .at_once = !flow->nonblock,
                .plain = flow->plain,
                .authorization = authorization,
                .connect_fields = flow->connect_fields,
                .connect_ms = has_another(flow) ? FAILOVER_MS : 0,
                .is_own = is_own,
                .own_ctx = flow};
        if (flow->spare == NULL || flow->spare != flow->via || flow->plain) {
                way_drop_spare(flow);
                return;
        }
        out->spare = true;
        out->spare_fd = flow->spare_fd;
        flow->spare = NULL;
}
