/* The answer to a forwarded request, and what comes after it; see forward.h. */
#include "net/forward.h"
#include "net/move.h"
#include "net/reply.h"
#include "net/tunnel.h"
#include "net/way_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
        CHUNK = 65536,    /* read at a time */
        BUDGET = 4 << 20, /* bytes per direction and turn, so that others get theirs */
        LINGER_MS = 2000, /* for a client to stop sending what nobody wants any more */
};

static _Thread_local char chunk[CHUNK]; /* empty again before the next flow's turn */

void forward_free(struct forward *f)
{
        if (f == NULL)
                return;
        forward_forget_thought(f);
        free(f->in);
        free(f);
}

static void client_gone(struct flow *flow, int error)
{
        flow_abort(flow, &(struct flow_end){"client", "reset", "connection reset", error});
}

/* -- the answer */

/* A kept connection may be closed by the upstream just when the next request is sent: that was
 * nobody's answer to it, so it is sent once more, on a new connection (RFC 9110 section 9.2.2). */
static bool may_replay(const struct forward *f)
{
        return f->reused && !f->answered && f->idempotent && !f->streamed;
}

static void replay(struct flow *flow, int error)
{
        flow->forward->used = 0;
        forward_next_flow(flow, &(struct flow_end){"server", error != 0 ? "reset" : "eof",
                                                   "closed while it was idle", error});
}

static void no_answer(struct flow *flow, int error)
{
        const char *who = forward_upstream_name(flow);
        struct forward *f = flow->forward;

        if (may_replay(f)) {
                replay(flow, error);
                return;
        }
        way_unanswered(flow, "it closed the connection before it answered a request");
        if (error != 0)
                reply_fail(flow, 502, "connection_terminated",
                           "tapline: %s reset the connection before its answer was there (%zu "
                           "bytes of it came).",
                           who, f->in_len);
        else
                reply_fail(flow, 502, "http_response_incomplete",
                           "tapline: %s closed the connection before its answer was there (%zu "
                           "bytes of it came).",
                           who, f->in_len);
}

/* The upstream has ended. A body that is cut short stays so: the client can tell by its framing, or
 * is told by a reset. */
static void server_ended(struct flow *flow, int error)
{
        struct forward *f = flow->forward;
        struct flow_end end = {"server", error != 0 ? "reset" : "eof",
                               "closed before the answer was complete", error};

        f->server_ends = true;
        f->ended_by = "server";
        if (f->stage == FORWARD_WAITING) {
                no_answer(flow, error);
        } else if (f->down.kind == BODY_UNTIL_CLOSE && error == 0) {
                if (flow->recorder != NULL)
                        recorder_server_eof(flow->recorder);
                f->stage = FORWARD_ANSWERED;
        } else if (error == 0 && f->down.coding_stays) {
                flow_close(flow, &end);
        } else {
                flow_abort(flow, &end);
        }
}

/* Pass a piece of the body on. Returns false if the flow is over. */
static bool pass_body(struct flow *flow, char *data, size_t len)
{
        struct forward *f = flow->forward;
        bool as_it_is = f->down.coding_stays;
        enum body_result result;
        size_t used, kept;
        int error;

        if (!as_it_is && flow->recorder != NULL)
                recorder_server(flow->recorder, data, len);
        result = body_take(&f->down, data, len, &used, &kept);
        if (result == BODY_BAD) {
                flow_abort(flow, &(struct flow_end){"server", "error",
                                                    "the answer's body is malformed", EPROTO});
                return false;
        }
        if (as_it_is && flow->recorder != NULL)
                recorder_server(flow->recorder, data, used);
        error = forward_send(&flow->client, data, kept);
        if (error < 0) {
                client_gone(flow, -error);
                return false;
        }
        if (result == BODY_DONE) {
                f->stage = FORWARD_ANSWERED;
                f->server_ends |= used < len; /* nobody asked for what comes behind it */
        }
        return true;
}

static bool pass_down(struct flow *flow, char *data, size_t len)
{
        char *rest = data;
        size_t rest_len = len;

        flow->server.received += len;
        flow->forward->answered = true;
        if (flow->forward->stage == FORWARD_WAITING &&
            !forward_read_heads(flow, data, len, &rest, &rest_len))
                return false;
        return flow->forward->stage != FORWARD_ANSWERING || pass_body(flow, rest, rest_len);
}

/* How much of the answer's body may go by unread. */
static size_t unread(const struct flow *flow)
{
        const struct body *b = &flow->forward->down;
        uint64_t left = b->kind == BODY_LENGTH ? b->left : 0;

        if (flow->forward->stage != FORWARD_ANSWERING)
                return 0;
        if (b->kind == BODY_UNTIL_CLOSE && flow->recorder == NULL)
                left = SIZE_MAX;
        if (flow->recorder != NULL && recorder_server_left(flow->recorder) < left)
                left = recorder_server_left(flow->recorder);
        return left < SIZE_MAX ? (size_t)left : SIZE_MAX;
}

/* A long body, past those who only look at heads. Returns false if there is no more to do now. */
static bool splice_down(struct flow *flow, size_t limit, size_t *moved)
{
        struct forward *f = flow->forward;
        size_t before = *moved;
        enum moved result = move_unread(&flow->server, &flow->client, limit, moved);
        int error = errno;

        if (f->down.kind == BODY_LENGTH)
                f->down.left -= *moved - before;
        if (body_is_done(&f->down) && flow->server.piped == 0)
                f->stage = FORWARD_ANSWERED;
        switch (result) {
        case MOVED:
                return true;
        case BLOCKED:
                break;
        case IDLE:
                move_drop_pipe(&flow->server);
                break;
        case ENDED:
        case READ_FAILED:
                server_ended(flow, result == ENDED ? 0 : error);
                return flow->state == FLOW_FORWARD;
        case WRITE_FAILED:
                client_gone(flow, error);
                break;
        }
        return false;
}

static void read_down(struct flow *flow)
{
        struct forward *f = flow->forward;
        size_t moved = 0;

        for (;;) {
                int flushed = side_flush(&flow->client);
                ssize_t n;

                if (flushed == -EAGAIN)
                        return;
                if (flushed < 0) {
                        client_gone(flow, -flushed);
                        return;
                }
                if (f->stage >= FORWARD_ANSWERED)
                        return;
                if (moved >= BUDGET) {
                        loop_defer(flow->relay->loop, &flow->again);
                        return;
                }
                if (flow->server.piped > 0 || unread(flow) >= MOVE_UNREAD) {
                        if (!splice_down(flow, unread(flow), &moved))
                                return;
                        continue;
                }
                n = recv(flow->server.fd, chunk, sizeof chunk, 0);
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        server_ended(flow, n < 0 ? errno : 0);
                        if (flow->state != FLOW_FORWARD)
                                return;
                } else if (!pass_down(flow, chunk, (size_t)n)) {
                        return;
                }
                moved += n > 0 ? (size_t)n : 0;
        }
}

/* -- between requests */

void forward_next_flow(struct flow *flow, const struct flow_end *end)
{
        size_t used = flow->forward != NULL ? flow->forward->used : flow->head_len;

        flow->head_len -= used;
        if (flow->head_len > 0)
                memmove(flow->head, flow->head + used, flow->head_len);
        if (flow_hand_over(flow, end) != NULL)
                return;
        flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
}

/* The same connections serve the next request. */
static void next_request(struct flow *flow)
{
        struct forward *f = flow->forward;

        flow->head_len -= f->used;
        if (flow->head_len > 0)
                memmove(flow->head, flow->head + f->used, flow->head_len);
        f->used = 0;
        f->to_head = false; /* what is said next may be about another request */
        free(f->in); /* as large as what came with a head; there may be thousands that wait */
        f->in = NULL;
        f->in_len = f->in_cap = 0;
        move_drop_pipe(&flow->server);
        flow_keep(flow);
}

static void finish(struct flow *flow)
{
        const char *first = flow->forward->ended_by;

        flow_close(flow, &(struct flow_end){first != NULL ? first : "server", "eof", "closed", 0});
}

/* Closing with bytes unread would send a reset, which may overtake the answer: say that nothing
 * more comes, and read and drop until the client has ended. */
static void linger(struct flow *flow)
{
        struct forward *f = flow->forward;
        ssize_t n = 1;

        if (f->stage != FORWARD_LINGERING) {
                f->stage = FORWARD_LINGERING;
                shutdown(flow->client.fd, SHUT_WR);
                flow->client.shut = true;
                flow_limit(flow, LINGER_MS);
        }
        for (size_t dropped = 0; n > 0 && dropped < BUDGET; dropped += (size_t)n)
                n = recv(flow->client.fd, chunk, sizeof chunk, 0);
        if (n > 0)
                loop_defer(flow->relay->loop, &flow->again);
        else if (n == 0 || errno != EAGAIN)
                finish(flow);
}

/* The answer is out, or nearly: what becomes of the connections? */
static void settle(struct flow *flow)
{
        struct forward *f = flow->forward;

        if (f->stage < FORWARD_ANSWERED || flow->client.out_len > 0)
                return;
        if (!f->client_closes && f->up_done) {
                if (f->server_ends)
                        forward_next_flow(flow, &(struct flow_end){"server", "eof", "closed", 0});
                else
                        next_request(flow);
                return;
        }
        if (f->up_done || f->server_ends || f->stage == FORWARD_LINGERING)
                linger(flow); /* else the upstream still wants the rest of the request */
}

static bool client_was_reset(struct flow *flow)
{
        int error = 0;
        socklen_t len = sizeof error;

        if (getsockopt(flow->client.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error == 0)
                return false;
        client_gone(flow, error);
        return true;
}

void forward_drive(struct flow *flow, uint32_t events)
{
        if ((events & EPOLLERR) != 0 && client_was_reset(flow))
                return;
        if (flow->forward->thought != NULL)
                return;
        forward_send_up(flow);
        if (flow->state == FLOW_FORWARD)
                read_down(flow);
        if (flow->state == FLOW_FORWARD)
                settle(flow);
}

void forward_resume(struct flow *flow)
{
        char nothing = 0;

        if (pass_down(flow, &nothing, 0))
                forward_drive(flow, 0);
}

void forward_start(struct flow *flow)
{
        flow->state = FLOW_FORWARD;
        flow_limit(flow, 0);
        if (flow->recorder == NULL)
                tunnel_observe(flow, "http");
        if (flow->recorder != NULL)
                recorder_client(flow->recorder, flow->server.out + flow->forward->head_at,
                                flow->server.out_len - flow->forward->head_at);
        forward_drive(flow, 0);
}

void forward_timeout(struct flow *flow)
{
        if (flow->forward->thought != NULL)
                forward_think_no_more(flow);
        else if (flow->forward->stage == FORWARD_LINGERING)
                finish(flow);
}

bool forward_awaits_answer(const struct flow *flow)
{
        const struct forward *f = flow->forward;

        return f->stage == FORWARD_WAITING && f->thought == NULL &&
               (f->up_done || f->up_broken || f->expects || flow->server.out_len > 0);
}

bool forward_quiet(struct flow *flow)
{
        if (forward_awaits_answer(flow)) {
                way_unanswered(flow, "it did not answer a request in time");
                reply_fail(flow, 504, "http_response_timeout",
                           "tapline: %s took the request and did not answer in time.",
                           forward_upstream_name(flow));
                return true;
        }
        if (flow->forward->stage != FORWARD_WAITING || flow->forward->thought != NULL)
                return false;
        side_abort(&flow->server); /* it must not take this for the end of the body */
        reply_refuse(flow, 408, "tapline: the request's body did not arrive in time.");
        return true;
}

void forward_idle(struct flow *flow)
{
        char byte;
        ssize_t n = recv(flow->server.fd, &byte, 1, MSG_PEEK);
        int error = n < 0 ? errno : 0;

        if (error == EAGAIN)
                return;
        forward_next_flow(
                flow, &(struct flow_end){"server", error != 0 ? "reset" : "eof", "closed", error});
}
