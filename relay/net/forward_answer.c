/* Heads of answers to forwarded requests: what they mean for the connections, and what of them goes
 * to the client; see forward.h. */
#include "net/forward.h"
#include "net/forward_head.h"
#include "net/relay.h"
#include "net/reply.h"
#include "net/tunnel.h"
#include "net/way_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *forward_upstream_name(const struct flow *flow)
{
        return !upstream_is_direct(flow->via) ? flow->via->shown : flow->name;
}

static bool store(struct forward *f, const char *data, size_t len)
{
        char *more;

        if (f->in_cap - f->in_len < len) {
                more = realloc(f->in, f->in_len + len);
                if (more == NULL)
                        return false;
                f->in = more;
                f->in_cap = f->in_len + len;
        }
        memcpy(f->in + f->in_len, data, len);
        f->in_len += len;
        return true;
}

static bool queue_head(struct flow *flow, const struct forward_response *r)
{
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        int result = -ENOMEM;

        if (out == NULL)
                return false;
        forward_print_response(out, r);
        if (fclose(out) == 0 && text != NULL)
                result = side_queue(&flow->client, text, len);
        free(text);
        return result == 0;
}

static void out_of_memory(struct flow *flow)
{
        flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
}

/* 100, 103 and the like: for an HTTP/1.1 client only (RFC 9110 section 15.2). */
static bool interim(struct flow *flow, const struct head *head)
{
        struct forward_response r = {.head = head, .via = flow->relay->via};

        if (head->status == 100)
                flow->forward->expects = false;
        if (flow->forward->client_minor == 0 || queue_head(flow, &r))
                return true;
        out_of_memory(flow);
        return false;
}

/* The protocol changes: both sides' bytes from here on are a tunnel's. */
static bool switch_protocols(struct flow *flow, const struct head *head, const char *rest,
                             size_t rest_len)
{
        struct forward *f = flow->forward;
        struct forward_response r = {.head = head, .upgrade = true, .via = flow->relay->via};

        if (!f->upgrade || !f->up_done) {
                reply_fail(flow, 502, "http_upgrade_failed",
                           "tapline: %s changed the protocol, which was not asked for.",
                           forward_upstream_name(flow));
                return false;
        }
        if (!queue_head(flow, &r) || side_queue(&flow->client, rest, rest_len) < 0 ||
            side_queue(&flow->server, flow->head + f->used, flow->head_len - f->used) < 0) {
                out_of_memory(flow);
                return false;
        }
        flow->client.received += flow->head_len - f->used;
        flow->head_len = 0;
        flow->classified = true;
        flow->state = FLOW_TUNNEL;
        loop_defer(flow->relay->loop, &flow->again);
        return false;
}

static bool refuse_answer(struct flow *flow, const char *type, const char *what)
{
        reply_fail(flow, 502, type, "tapline: the answer of %s was refused: %s.",
                   forward_upstream_name(flow), what);
        return false;
}

/* The final head. */
static bool begin_answer(struct flow *flow, const struct head *head)
{
        struct forward *f = flow->forward;
        struct forward_response r = {.head = head, .body = &f->down, .via = flow->relay->via};
        bool faulty;
        const char *problem = body_of_response(head, f->to_head, &f->down, &faulty);

        if (problem != NULL)
                return refuse_answer(flow,
                                     head_find(head, "Transfer-Encoding") != NULL
                                             ? "http_response_transfer_coding"
                                             : "http_protocol_error",
                                     problem);
        f->down.coding_stays = f->client_minor >= 1;
        r.chunked = f->down.kind == BODY_CHUNKED && f->down.coding_stays;
        if (faulty || f->down.kind == BODY_UNTIL_CLOSE || !forward_server_persists(head))
                f->server_ends = true;
        if (f->down.kind == BODY_UNTIL_CLOSE || !f->up_done || flow->relay->draining)
                f->client_closes = true;
        r.close = f->client_closes;
        if (!queue_head(flow, &r)) {
                out_of_memory(flow);
                return false;
        }
        f->stage = body_is_done(&f->down) ? FORWARD_ANSWERED : FORWARD_ANSWERING;
        return true;
}

static bool take_head(struct flow *flow, const struct head *head, const char *rest, size_t rest_len)
{
        way_answered(flow);
        if (forward_answers_challenge(flow, head))
                return false;
        if (head->status >= 200)
                flow->auth_tried = 0;
        if (flow->recorder != NULL)
                recorder_server(flow->recorder, rest - head->len, head->len);
        if (head->status == 101)
                return switch_protocols(flow, head, rest, rest_len);
        return head->status < 200 ? interim(flow, head) : begin_answer(flow, head);
}

bool forward_read_heads(struct flow *flow, char *data, size_t len, char **rest, size_t *rest_len)
{
        static _Thread_local struct head head;
        struct forward *f = flow->forward;
        size_t at = 0;

        if (!store(f, data, len)) {
                out_of_memory(flow);
                return false;
        }
        while (f->stage == FORWARD_WAITING) {
                switch (head_parse_response(f->in + at, f->in_len - at, &head)) {
                case HEAD_MORE:
                        f->in_len -= at;
                        memmove(f->in, f->in + at, f->in_len);
                        return true;
                case HEAD_OK:
                        break;
                case HEAD_BAD:
                case HEAD_LONG_LINE:
                        way_unanswered(flow, "its answer to a request was not HTTP/1");
                        return refuse_answer(flow, "http_protocol_error", "it is not HTTP/1");
                case HEAD_TOO_LONG:
                        return refuse_answer(flow, "http_response_header_section_size",
                                             "its head is too long");
                }
                at += head.len;
                if (take_head(flow, &head, f->in + at, f->in_len - at))
                        continue;
                if (f->thought != NULL) { /* what is before it has been passed on */
                        f->in_len -= at - head.len;
                        memmove(f->in, f->in + at - head.len, f->in_len);
                }
                return false;
        }
        *rest = f->in + at;
        *rest_len = f->in_len - at;
        f->in_len = 0;
        if (f->stage == FORWARD_ANSWERED && *rest_len > 0)
                f->server_ends = true; /* nobody asked for what comes behind it */
        return true;
}
