/* The way up of a forwarded request: its body, from what was read with the head and then from the
 * client; see forward.h. */
#include "net/forward.h"
#include "net/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
        CHUNK = 65536,    /* read at a time */
        BUDGET = 4 << 20, /* bytes per turn, so that others get theirs */
};

int forward_send(struct side *side, const char *data, size_t len)
{
        ssize_t n = 0;

        if (side->out_len == 0 && len > 0)
                n = send(side->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                return -errno;
        n = n < 0 ? 0 : n;
        if ((size_t)n < len)
                side_blocked(side);
        return side_queue(side, data + n, len - (size_t)n);
}

/* The upstream takes no more of the body. It may have answered before: that is told, or else its
 * end will be. */
static void up_failed(struct flow *flow)
{
        flow->forward->up_broken = true;
        flow->forward->server_ends = true;
        free(flow->server.out);
        flow->server.out = NULL;
        flow->server.out_len = flow->server.out_sent = 0;
}

static void body_is_bad(struct flow *flow)
{
        side_abort(&flow->server); /* it must not take this for the end of the body */
        if (flow->forward->stage == FORWARD_WAITING)
                reply_refuse(flow, 400,
                             "tapline: the request's body is not what its Transfer-Encoding says.");
        else
                flow_abort(flow, &(struct flow_end){"client", "error",
                                                    "the request's body is malformed", 0});
}

/* Bytes behind the body, which belong to the next request. */
static bool keep(struct flow *flow, const char *data, size_t len)
{
        char *more;

        if (len == 0)
                return true;
        if (flow->head_cap - flow->head_len < len) {
                more = realloc(flow->head, flow->head_len + len);
                if (more == NULL)
                        return false;
                flow->head = more;
                flow->head_cap = flow->head_len + len;
        }
        memcpy(flow->head + flow->head_len, data, len);
        flow->head_len += len;
        return true;
}

/* Take the body's part of data and send it. Returns false if the flow is over. */
static bool pass_up(struct flow *flow, char *data, size_t len, size_t *used)
{
        struct forward *f = flow->forward;
        size_t kept;
        enum body_result result = body_take(&f->up, data, len, used, &kept);

        if (result == BODY_BAD) {
                body_is_bad(flow);
                return false;
        }
        flow->client.received += *used;
        if (*used > 0)
                f->expects = false; /* it waits for no 100 */
        f->up_done = result == BODY_DONE;
        if (flow->recorder != NULL)
                recorder_client(flow->recorder, data, *used);
        if (forward_send(&flow->server, data, *used) < 0)
                up_failed(flow);
        return true;
}

/* What was read with the head, or behind an earlier request. */
static bool send_stored(struct flow *flow)
{
        struct forward *f = flow->forward;
        size_t used;

        if (!pass_up(flow, flow->head + f->used, flow->head_len - f->used, &used))
                return false;
        f->used += used;
        return true;
}

/* Read from the client, and pass it on. Returns what recv returned, or -1 with errno EAGAIN if the
 * flow is over. */
static ssize_t send_fresh(struct flow *flow)
{
        static _Thread_local char chunk[CHUNK]; /* empty again before the next flow's turn */
        size_t used;
        ssize_t n = recv(flow->client.fd, chunk, sizeof chunk, 0);

        if (n < 0 && errno == EAGAIN)
                return -1;
        if (n <= 0) {
                int error = n < 0 ? errno : 0;

                flow_abort(flow,
                           &(struct flow_end){"client", error != 0 ? "reset" : "eof",
                                              "closed before its request was complete", error});
                errno = EAGAIN;
                return -1;
        }
        flow->forward->streamed = true;
        errno = EAGAIN;
        if (!pass_up(flow, chunk, (size_t)n, &used))
                return -1;
        if (!keep(flow, chunk + used, (size_t)n - used)) {
                flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
                return -1;
        }
        return n;
}

void forward_send_up(struct flow *flow)
{
        struct forward *f = flow->forward;
        size_t moved = 0;

        for (;;) {
                int flushed = f->up_broken ? 0 : side_flush(&flow->server);
                ssize_t n;

                if (flushed < 0 && flushed != -EAGAIN)
                        up_failed(flow);
                if (flushed < 0 || f->up_done || f->up_broken)
                        return;
                if (moved >= BUDGET) {
                        loop_defer(flow->relay->loop, &flow->again);
                        return;
                }
                if (f->used < flow->head_len) {
                        if (!send_stored(flow))
                                return;
                        continue;
                }
                n = send_fresh(flow);
                if (n < 0)
                        return;
                moved += (size_t)n;
        }
}
