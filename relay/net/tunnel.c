/* Moves the bytes of a flow; see tunnel.h. */
#include "net/tunnel.h"
#include "inspect/inspector.h"
#include "net/forward.h"
#include "net/front.h"
#include "net/move.h"
#include "net/process.h"
#include "net/worker.h"
#include "net/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        BUDGET = 4 << 20, /* bytes per direction and turn, so that others get theirs */
};

static void end_flow(struct side *from, enum moved why, int error)
{
        struct flow *flow = from->flow;
        const char *sender = side_is_client(from) ? "client" : "server";
        const char *receiver = side_is_client(from) ? "server" : "client";
        struct flow_end end = {why == READ_FAILED ? sender : receiver,
                               error == ECONNRESET || error == EPIPE ? "reset" : "error",
                               "connection reset", error};

        if (strcmp(end.how, "reset") != 0)
                end.reason = why == READ_FAILED ? "reading failed" : "writing failed";
        flow_abort(flow, &end);
}

/* The ends of both directions are known and everything is written. */
static bool is_over(const struct flow *flow)
{
        return flow->client.eof && flow->server.eof && flow->client.out_len == 0 &&
               flow->server.out_len == 0 && flow->client.piped == 0 && flow->server.piped == 0;
}

/* Pass the end of one direction on: a half-close stays a half-close. */
static void pass_end(struct side *from, struct side *to)
{
        if (!from->eof && from->flow->recorder != NULL && !side_is_client(from))
                recorder_server_eof(from->flow->recorder);
        if (from->flow->first == NULL)
                from->flow->first = side_is_client(from) ? "client" : "server";
        from->eof = true;
        if (!to->shut && !is_over(from->flow)) /* else its close() says the same */
                shutdown(to->fd, SHUT_WR);
        to->shut = true;
        move_drop_pipe(from);
}

/* A peer that has ended its own stream in order may refuse what still comes: that loses nothing of
 * its answer. The sender is read on and dropped, for closing on unread bytes would send a reset,
 * which may overtake the answer's end. Returns false if the failure is a real one. */
static bool refuse_more(struct side *from, struct side *to)
{
        if (!to->fin_seen)
                return false;
        from->unwanted = true;
        free(to->out);
        to->out = NULL;
        to->out_len = to->out_sent = 0;
        from->piped = 0;
        to->shut = true;
        return true;
}

/* Its kernel has all that the other side sent, the end included: a reset can overtake nothing. */
static bool is_delivered(const struct side *to, const struct side *other)
{
        int unacknowledged = 0;

        return to->shut && to->out_len == 0 && other->piped == 0 &&
               ioctl(to->fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
}

/* Read without looking. TCP needs no room for it (tcp(7), MSG_TRUNC), a UNIX socket does. */
static ssize_t drop_some(int fd)
{
        static _Thread_local char unread[65536];
        ssize_t n = recv(fd, NULL, BUDGET, MSG_TRUNC);

        return n < 0 && errno == EFAULT ? recv(fd, unread, sizeof unread, 0) : n;
}

/* Without the reset a program that only writes would never learn that nobody takes it. */
static bool drop_unwanted(struct side *from, struct side *to)
{
        struct flow *flow = from->flow;
        ssize_t n;

        if (from->eof)
                return true;
        n = drop_some(from->fd);
        if (n < 0 && errno != EAGAIN) {
                end_flow(from, READ_FAILED, errno);
                return false;
        }
        if (n > 0)
                side_count(from, (size_t)n);
        from->eof = n == 0;
        if (n != 0 && is_delivered(from, to)) {
                flow_abort(flow, &(struct flow_end){flow->first, "eof", "closed", 0});
                return false;
        }
        if (n > 0)
                loop_defer(worker_loop(flow), &flow->again);
        return true;
}

/* Move one direction until it stops. Returns false if the flow is over. */
static bool pump(struct side *from, struct side *to)
{
        struct flow *flow = from->flow;
        enum moved result = MOVED;
        size_t moved = 0;

        while (result == MOVED && !to->shut) {
                int flushed = side_flush(to);

                if (flushed == -EAGAIN)
                        return true;
                if (flushed < 0 && refuse_more(from, to))
                        break;
                if (flushed < 0) {
                        end_flow(from, WRITE_FAILED, -flushed);
                        return false;
                }
                if (moved >= BUDGET) {
                        loop_defer(worker_loop(flow), &flow->again);
                        return true;
                }
                result = from->readable || from->piped > 0 ? move_some(from, to, &moved) : IDLE;
        }
        if (result == WRITE_FAILED && refuse_more(from, to))
                result = BLOCKED;
        if (from->unwanted)
                return drop_unwanted(from, to);
        if (result == ENDED && from->error != 0) {
                errno = from->error;
                result = READ_FAILED;
        }
        if (result == READ_FAILED || result == WRITE_FAILED) {
                end_flow(from, result, errno);
                return false;
        }
        if (result == ENDED)
                pass_end(from, to);
        else if (result == IDLE && from->piped == 0)
                move_drop_pipe(from);
        return true;
}

void tunnel_observe(struct flow *flow, const char *scheme)
{
        struct recorder_origin origin = {.record = flow->relay->record,
                                         .next_request = &flow->relay->next_request,
                                         .promised = flow->relay->promised,
                                         .who = flow_who(flow),
                                         .flow = flow->id,
                                         .scheme = scheme,
                                         .host = flow->name,
                                         .port = flow->port,
                                         .source = "relay",
                                         .digest = flow->relay->options->digest};
        char literal[64];

        if (!record_is_kept(flow->relay->record))
                return;
        address_literal(&flow->address, literal);
        if (flow->name == NULL)
                origin.host = literal;
        flow->recorder = recorder_new(&origin);
}

static bool begins_http(const char *data, size_t len)
{
        static const char *const methods[] = {"GET ",     "HEAD ",    "POST ",
                                              "PUT ",     "DELETE ",  "PATCH ",
                                              "OPTIONS ", "CONNECT ", "PRI * HTTP/2.0"};

        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
                if (len >= strlen(methods[i]) && memcmp(data, methods[i], strlen(methods[i])) == 0)
                        return true;
        return false;
}

static void start_intercept(struct flow *flow)
{
        struct recorder_origin origin = {.record = flow->relay->record,
                                         .next_request = &flow->relay->next_request,
                                         .promised = flow->relay->promised,
                                         .who = flow_who(flow),
                                         .flow = flow->id,
                                         .scheme = "https",
                                         .host = flow->name,
                                         .port = flow->port,
                                         .source = "relay",
                                         .digest = flow->relay->options->digest};
        char literal[64] = "";
        struct intercept_setup setup = {.inspector = flow->options->inspector,
                                        .origin = &origin,
                                        .name = flow->name,
                                        .address = literal,
                                        .roots = trusted_roots,
                                        .roots_pending = trusted_pending,
                                        .roots_ctx = flow,
                                        .client_fd = flow->client.fd,
                                        .origin_fd = flow->server.fd,
                                        .early = flow->server.out,
                                        .early_len = flow->server.out_len};

        if (flow->address.family != 0)
                address_literal(&flow->address, literal);
        if (flow->name == NULL)
                origin.host = literal;
        flow->intercept = intercept_new(&setup);
        if (flow->intercept == NULL) {
                record_note(origin.record, &origin.who, flow->id,
                            "this connection is not inspected: out of memory");
                return;
        }
        free(flow->server.out);
        flow->server.out = NULL;
        flow->server.out_len = flow->server.out_sent = 0;
        flow->state = FLOW_INTERCEPT;
        side_blocked(&flow->client); /* it writes by itself, and may block at any time */
        side_blocked(&flow->server);
        process_table_set_inspected(flow->relay->processes, flow->pid);
}

static bool may_inspect(const struct flow *flow)
{
        const struct inspector *inspector = flow->options->inspector;

        return inspector != NULL && !flow->passing && flow->server.received == 0 &&
               (flow->name == NULL || !inspector_is_distrusted(inspector, flow->name));
}

/* Look at the first bytes of the client, wherever they are. Returns false when there are none yet.
 */
static bool classify(struct flow *flow)
{
        char peeked[16];
        const char *data = flow->server.out;
        size_t len = flow->server.out_len;

        if (flow->options->inspector == NULL && !record_is_kept(flow->relay->record)) {
                flow->classified = true; /* there is nobody to look for */
                return true;
        }
        if (data == NULL && !flow->client.readable)
                return false;
        if (data == NULL) {
                ssize_t n = recv(flow->client.fd, peeked, sizeof peeked, MSG_PEEK);

                if (n < 0 && errno == EAGAIN) {
                        flow->client.readable = false;
                        return false;
                }
                if (n < 0)
                        flow->client.error = errno; /* told once only: what follows is the end */
                data = peeked;
                len = n > 0 ? (size_t)n : 0;
        }
        flow->classified = true;
        if (begins_http(data, len)) {
                tunnel_observe(flow, "http");
                if (flow->recorder != NULL && flow->server.out != NULL)
                        recorder_client(flow->recorder, flow->server.out, flow->server.out_len);
        }
        if (len > 0 && data[0] == 0x16 && may_inspect(flow))
                start_intercept(flow);
        return true;
}

/* The interception stepped back: the origin is dialled afresh and the client's bytes pass
 * untouched. */
static void pass_through(struct flow *flow)
{
        size_t len;
        const char *hello = intercept_hello(flow->intercept, &len);

        side_close_fd(&flow->server);
        flow->server.received = 0;
        flow->client.readable = true;
        if (side_queue(&flow->server, hello, len) < 0) {
                flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
                return;
        }
        flow->client.received = len;
        intercept_free(flow->intercept);
        flow->intercept = NULL;
        flow->passing = true;
        flow_dial(flow, false, NULL);
}

static void go_on_with_intercept(struct flow *flow, enum intercept_result result)
{
        const struct intercept_end *how;
        struct flow_end end;

        switch (result) {
        case INTERCEPT_BUSY:
                flow_limit(flow, intercept_limit(flow->intercept));
                if (intercept_has_more(flow->intercept))
                        loop_defer(flow->relay->loop, &flow->again);
                return;
        case INTERCEPT_PASS:
                flow_limit(flow, 0);
                pass_through(flow);
                return;
        case INTERCEPT_CLOSED:
                how = intercept_end(flow->intercept);
                end = (struct flow_end){how->first, how->how, how->reason, how->error};
                if (how->abort_client)
                        side_abort(&flow->client);
                if (how->abort_origin)
                        side_abort(&flow->server);
                flow_close(flow, &end);
                return;
        }
}

static void drive_intercept(struct flow *flow)
{
        go_on_with_intercept(flow, intercept_drive(flow->intercept));
}

void tunnel_timeout(struct flow *flow)
{
        go_on_with_intercept(flow, intercept_expire(flow->intercept));
}

/* A reset that comes while nothing is being read (back-pressure, or all has been read) shows only
 * in the events. The kernel calls it EPIPE if the FIN came first, be it a moment before. What was
 * received before the reset is still there, and belongs to the other side. */
static bool died(struct flow *flow, uint32_t events)
{
        struct side *sides[] = {&flow->client, &flow->server};

        if ((events & EPOLLERR) == 0)
                return false;
        for (size_t i = 0; i < 2; i++) {
                int error = 0;
                socklen_t len = sizeof error;

                if (sides[i]->fd < 0 ||
                    getsockopt(sides[i]->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error == 0)
                        continue;
                if (error == EPIPE)
                        sides[i]->fin_seen = true;
                if (refuse_more(sides[1 - i], sides[i]))
                        continue;
                sides[i]->error = error;
                sides[i]->readable = sides[i]->ending = true;
                if (!flow->classified || pump(sides[i], sides[1 - i]))
                        end_flow(sides[i], READ_FAILED, error);
                return true;
        }
        return false;
}

static void drive(struct flow *flow)
{
        if (flow->state != FLOW_TUNNEL)
                return;
        if (side_flush(&flow->client) == 0 && !flow->classified)
                classify(flow);
        if (flow->state == FLOW_INTERCEPT) {
                drive_intercept(flow);
                return;
        }
        if (!pump(&flow->server, &flow->client) ||
            (flow->classified && !pump(&flow->client, &flow->server)))
                return;
        if (is_over(flow))
                flow_close(flow, &(struct flow_end){flow->first, "eof", "closed", 0});
        else if ((flow->client.bulk || flow->server.bulk) && flow->recorder == NULL)
                worker_offer(flow);
}

void tunnel_drive(struct flow *flow, uint32_t events)
{
        switch (flow->state) {
        case FLOW_HEAD:
                front_drive(flow);
                return;
        case FLOW_TUNNEL:
                if (!died(flow, events))
                        drive(flow);
                return;
        case FLOW_INTERCEPT:
                drive_intercept(flow);
                return;
        case FLOW_FORWARD:
                forward_drive(flow, events);
                return;
        case FLOW_DIALLING:
        case FLOW_JOINING:
                if ((events & (EPOLLHUP | EPOLLERR)) != 0)
                        flow_abort(flow, &(struct flow_end){
                                                 "client", "reset",
                                                 "gave up before the connection was there", 0});
                else if (flow->held && flow->state == FLOW_JOINING && (events & EPOLLOUT) != 0)
                        flow_joined(flow);
                return;
        case FLOW_ANSWER:
        case FLOW_CLOSED:
                return;
        }
}
