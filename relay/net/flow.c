/* Life, events and death of a flow; see flow.h. */
#include "net/flow.h"
#include "net/control.h"
#include "net/flow_event.h"
#include "net/forward.h"
#include "net/front.h"
#include "net/held.h"
#include "net/move.h"
#include "net/past.h"
#include "net/process.h"
#include "net/rings.h"
#include "net/tunnel.h"
#include "net/verdict.h"
#include "net/worker.h"
#include "net/way_out.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
        JOIN_MS = 10000,  /* a program that was told to join does so at once, or has died */
        KEEP_MS = 120000, /* a client between two requests; most clients give up sooner */
};

struct port_key flow_key(const struct wire_addr *client)
{
        struct port_key key = {.family = client->family, .port = client->port};

        memcpy(key.bytes, client->bytes, sizeof key.bytes);
        return key;
}

static void run_again(struct deferred *d)
{
        struct flow *flow = (struct flow *)((char *)d - offsetof(struct flow, again));

        if (flow->broken != 0 && flow->state != FLOW_CLOSED) {
                flow_abort(flow,
                           &(struct flow_end){"relay", "error", flow->broken_by, flow->broken});
                return;
        }
        if (flow->state == FLOW_TUNNEL || flow->state == FLOW_INTERCEPT ||
            flow->state == FLOW_FORWARD || flow->state == FLOW_HEAD)
                tunnel_drive(flow, 0);
}

static void side_ready(struct watch *w, uint32_t events)
{
        struct side *side = (struct side *)((char *)w - offsetof(struct side, watch));

        if ((events & (EPOLLRDHUP | EPOLLERR)) == EPOLLRDHUP)
                side->fin_seen = true;
        side->fin_next = (events & (EPOLLRDHUP | EPOLLERR | EPOLLPRI)) == EPOLLRDHUP;
        if (side->flow->intercept != NULL)
                intercept_ready(side->flow->intercept, side_is_client(side), events);
        if ((events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
                side->readable = side->ending = true;
        else if ((events & EPOLLIN) != 0)
                side->readable = true;
        tunnel_drive(side->flow, events);
}

static void side_init(struct side *side, struct flow *flow)
{
        side->flow = flow;
        side->fd = -1;
        side->watch = (struct watch){.ready = side_ready, .fd = -1};
}

struct flow *flow_new(struct relay *relay, enum flow_kind kind, enum flow_state state)
{
        struct flow *flow = calloc(1, sizeof *flow);

        if (flow == NULL)
                return NULL;
        flow->relay = relay;
        flow->id = ++relay->next_flow;
        flow->options = relay_options_share(relay);
        relay->flow_count++;
        flow->kind = kind;
        flow->state = state;
        flow->started_us = loop_now_us(relay->loop);
        flow->again.run = run_again;
        side_init(&flow->client, flow);
        side_init(&flow->server, flow);
        DL_APPEND(relay->flows, flow);
        return flow;
}

void flow_set_process(struct flow *flow, pid_t pid, pid_t tid)
{
        const char *exe = process_table_exe(flow->relay->processes, pid);

        flow->pid = pid;
        flow->tid = tid;
        free(flow->exe);
        flow->exe = exe != NULL ? strdup(exe) : NULL;
}

struct flow *flow_find(struct relay *relay, struct port_key key)
{
        struct flow *flow;

        HASH_FIND(hh, relay->by_port, &key, sizeof key, flow);
        return flow;
}

static void unkey(struct flow *flow)
{
        if (flow->keyed)
                HASH_DEL(flow->relay->by_port, flow);
        flow->keyed = false;
}

bool flow_set_key(struct flow *flow, struct port_key key)
{
        struct flow *old = flow_find(flow->relay, key);

        if (old != NULL)
                unkey(old); /* its client's port is in use again: it is gone */
        unkey(flow);
        flow->key = key;
        HASH_ADD(hh, flow->relay->by_port, key, sizeof flow->key, flow);
        flow->keyed = flow->hh.tbl != NULL;
        return flow->keyed;
}

void flow_expect_join(struct flow *flow, bool expects)
{
        if (flow->expects_join == expects)
                return;
        flow->expects_join = expects;
        flow->relay->unjoined += expects ? 1 : -1u;
}

static void dialled(void *ctx, struct dial_result *result);

/* The client is told what dial.c would have said if it had been that quick to give up. */
static void dial_timed_out(struct flow *flow)
{
        struct dial_result result = {
                .fd = -1, .kept_fd = -1, .stage = DIAL_CONNECT, .error = ETIMEDOUT};

        if (flow->dial == NULL)
                return;
        dial_cancel(flow->dial);
        result.duration_us = loop_now_us(flow->relay->loop) - flow->started_us;
        snprintf(result.text, sizeof result.text, "no connection to %s port %u within %g s",
                 flow->name, flow->port, flow->options->limits.connect_ms / 1000.0);
        dialled(flow, &result);
}

static void limit_reached(uv_timer_t *timer)
{
        struct flow *flow = timer->data;

        if (flow->state == FLOW_HEAD)
                front_timeout(flow);
        else if (flow->state == FLOW_INTERCEPT)
                tunnel_timeout(flow);
        else if (flow->state == FLOW_FORWARD)
                forward_timeout(flow);
        else if (flow->state == FLOW_DIALLING && flow->kind != FLOW_REDIRECTED)
                dial_timed_out(flow);
        else if (flow->held && flow->client.fd < 0)
                held_check(flow);
        else
                flow_abort(flow, &(struct flow_end){"client", "error",
                                                    "the program did not come to the relay", 0});
}

void flow_limit(struct flow *flow, uint64_t ms)
{
        if (flow->timer == NULL && ms != 0) {
                flow->timer = loop_timer_take(flow->relay->loop);
                if (flow->timer == NULL)
                        return;
                flow->timer->data = flow;
        }
        if (ms != 0) {
                uv_timer_start(flow->timer, limit_reached, ms, 0);
                return;
        }
        loop_timer_give(flow->relay->loop, flow->timer);
        flow->timer = NULL;
}

void flow_break(struct flow *flow, int error, const char *why)
{
        flow->broken = error;
        flow->broken_by = why;
        loop_defer(worker_loop(flow), &flow->again);
}

static void side_watch(struct side *side)
{
        struct flow *flow = side->flow;
        int result;

        side->watch.fd = side->fd;
        result = loop_add_reader(flow->relay->loop, &side->watch);
        if (result == 0)
                return;
        side->watch.fd = -1;
        flow_break(flow, -result, "epoll_ctl(2) failed");
}

void flow_attach_client(struct flow *flow, int fd)
{
        flow->client.fd = fd;
        side_watch(&flow->client);
}

int flow_give_up_client(struct flow *flow)
{
        int fd = flow->client.fd;

        loop_remove(flow->relay->loop, &flow->client.watch);
        flow->client.fd = -1;
        flow_close(flow, &(struct flow_end){"relay", "eof", "taken over by its announcement", 0});
        return fd;
}

void flow_joined(struct flow *flow)
{
        if (flow->verdict_error != 0)
                flow_abort(flow, &(struct flow_end){"relay", "refused", "the connection failed",
                                                    flow->verdict_error});
        else if (flow->state == FLOW_JOINING)
                flow_start(flow);
}

/* There may be thousands of tunnels, or of clients between two requests. */
static void drop_head(struct flow *flow)
{
        free(flow->head);
        flow->head = NULL;
        flow->head_len = flow->head_cap = 0;
}

/* Bytes of an established connection start to move once both descriptors are there. */
void flow_start(struct flow *flow)
{
        flow->state = FLOW_TUNNEL;
        flow_limit(flow, 0);
        if (flow->server.watch.fd < 0)
                side_watch(&flow->server);
        if (flow->forward != NULL) {
                forward_start(flow);
                return;
        }
        drop_head(flow);
        tunnel_drive(flow, 0);
}

static void redirected_dialled(struct flow *flow)
{
        flow->state = FLOW_JOINING;
        if (flow->control != NULL && !flow->nonblock) {
                flow_expect_join(flow, true);
                control_send_verdict(flow->control, flow);
        }
        if (flow->held)
                held_answer(flow);
        else if (flow->client.fd >= 0)
                flow_start(flow);
        else
                flow_limit(flow, JOIN_MS);
}

static void redirected_failed(struct flow *flow, const struct dial_result *result)
{
        static const char *const reasons[] = {"the name cannot be resolved",
                                              "the connection failed", "the upstream proxy refused",
                                              ""};
        struct flow_end end = {"relay", "refused", reasons[result->stage], result->error};

        flow->verdict_error = result->error;
        if (flow->control != NULL && (!flow->nonblock || !flow->told)) {
                control_send_verdict(flow->control, flow);
                flow_close(flow, &end);
                return;
        }
        flow->state = FLOW_JOINING;
        if (flow->held)
                held_answer(flow);
        else if (flow->client.fd >= 0)
                flow_abort(flow, &end);
        else
                flow_limit(flow, JOIN_MS); /* it is still on its way, and gets the reset */
}

static void begin_dial(struct flow *flow, const char *authorization);

static void dialled(void *ctx, struct dial_result *result)
{
        struct flow *flow = ctx;

        flow->dial = NULL;
        flow_event_upstream(flow, result);
        metrics_dialled(flow, result);
        if (way_next(flow, result)) {
                begin_dial(flow, NULL);
                return;
        }
        if (result->stage == DIAL_DONE) {
                flow->server.fd = result->fd;
                flow->probed = false;
                side_reset_if_killed(result->fd); /* the probes can wait: see limits.c */
                if (flow->kind != FLOW_REDIRECTED && !flow->passing)
                        front_established(flow);
                side_queue(&flow->client, result->after, result->after_len);
        }
        if (flow->passing && result->stage == DIAL_DONE)
                flow_start(flow);
        else if (flow->passing)
                flow_abort(flow, &(struct flow_end){"server", "error", "dialling afresh failed",
                                                    result->error});
        else if (flow->kind != FLOW_REDIRECTED)
                front_dialled(flow, result);
        else if (result->stage == DIAL_DONE)
                redirected_dialled(flow);
        else
                redirected_failed(flow, result);
}

static void begin_dial(struct flow *flow, const char *authorization)
{
        struct dial_request request;

        way_request(flow, authorization, &request);
        flow->state = FLOW_DIALLING;
        if (request.name != NULL || request.address != NULL) /* else there was no memory for it */
                flow->dial = dial_start(flow->relay->loop, &request, dialled, flow);
        if (flow->dial == NULL)
                flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
}

void flow_dial(struct flow *flow, bool plain, const char *authorization)
{
        flow->plain = plain;
        if (flow->kind != FLOW_REDIRECTED && !flow->passing) /* for all choices together */
                flow_limit(flow, (uint64_t)flow->options->limits.connect_ms);
        begin_dial(flow, authorization);
}

void flow_answer(struct flow *flow, const char *text, size_t len, const struct flow_end *end)
{
        int one = 1;

        if (side_queue(&flow->client, text, len) == 0)
                side_flush(&flow->client); /* an answer of ours fits a socket buffer */
        /* What the client has sent and we have not read would turn our FIN into a RST that may
         * overtake the answer: say FIN first, let the kernel drop the rest (tcp(7)). */
        setsockopt(flow->client.fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
        shutdown(flow->client.fd, SHUT_WR);
        flow->client.shut = true;
        flow_close(flow, end);
}

void flow_keep(struct flow *flow)
{
        flow->state = FLOW_HEAD;
        flow->kept = true;
        flow->unread = flow->head_len > 0;
        if (flow->head_len == 0)
                drop_head(flow);
        flow_limit(flow, flow->relay->draining && flow->head_len == 0 ? 1 : KEEP_MS);
        loop_defer(flow->relay->loop, &flow->again);
}

void flow_close_idle(struct relay *relay)
{
        for (struct flow *flow = relay->flows; flow != NULL; flow = flow->next)
                if (flow->state == FLOW_HEAD && flow_is_idle(flow))
                        flow_close(flow,
                                   &(struct flow_end){"relay", "eof", "closed while idle", 0});
}

static void take_out(struct side *to, struct side *from)
{
        to->out = from->out;
        to->out_len = from->out_len;
        to->out_sent = from->out_sent;
        from->out = NULL;
        from->out_len = from->out_sent = 0;
}

struct flow *flow_hand_over(struct flow *old, const struct flow_end *end)
{
        struct flow *flow = flow_new(old->relay, FLOW_HTTP, FLOW_HEAD);
        int fd = old->client.fd;

        if (flow == NULL)
                return NULL;
        flow->public_listener = old->public_listener;
        way_hand_over(old, flow);
        flow->wants_login = old->wants_login;
        flow->pid = old->pid;
        flow->tid = old->tid;
        flow->exe = old->exe != NULL ? strdup(old->exe) : NULL;
        flow->head = old->head;
        flow->head_len = old->head_len;
        flow->head_cap = old->head_cap;
        old->head = NULL;
        take_out(&flow->client, &old->client);
        loop_remove(old->relay->loop, &old->client.watch);
        old->client.fd = -1;
        flow->key = old->key;
        if (old->keyed)
                flow_set_key(flow, old->key);
        flow_close(old, end);
        flow_attach_client(flow, fd);
        flow_keep(flow);
        return flow;
}

static void side_close(struct side *side)
{
        move_drop_pipe(side);
        side_close_fd(side);
        free(side->out);
        side->out = NULL;
        side->out_len = side->out_sent = 0;
}

static const char *finish_reason(const struct flow_end *end)
{
        if (strcmp(end->how, "reset") == 0)
                return "reset";
        return strcmp(end->first, "client") == 0 ? "client closed" : "origin closed";
}

void flow_close(struct flow *flow, const struct flow_end *end)
{
        if (flow->worker == NULL)
                rings_look(flow->relay->rings); /* what its program has told comes before its end */
        if (flow->state == FLOW_CLOSED)
                return;
        if (flow->worker != NULL) {
                worker_return(flow, end);
                return;
        }
        worker_withdraw(flow);
        if (flow->recorder != NULL)
                recorder_finish(flow->recorder, finish_reason(end));
        flow_event_close(flow, end);
        metrics_closed(flow, end);
        if (flow->cookie != 0)
                past_add(flow);
        flow->state = FLOW_CLOSED;
        LL_PREPEND2(flow->relay->closed, flow, next_closed);
        flow_expect_join(flow, false);
        unkey(flow);
        if (flow->dial != NULL)
                dial_cancel(flow->dial);
        flow->dial = NULL;
        if (flow->control != NULL)
                control_forget_flow(flow->control);
        flow_limit(flow, 0);
        intercept_free(flow->intercept);
        flow->intercept = NULL;
        way_forget(flow);
        side_close(&flow->client);
        side_close(&flow->server);
}

void flow_abort(struct flow *flow, const struct flow_end *end)
{
        side_abort(&flow->client);
        side_abort(&flow->server);
        flow_close(flow, end);
}

void flow_sweep(struct relay *relay)
{
        struct flow *flow, *next;

        LL_FOREACH_SAFE2 (relay->closed, flow, next, next_closed) {
                if (flow->again.queued)
                        continue;
                LL_DELETE2(relay->closed, flow, next_closed);
                DL_DELETE(relay->flows, flow);
                relay->flow_count--;
                relay_options_drop(flow->options);
                recorder_free(flow->recorder);
                forward_free(flow->forward);
                free(flow->head);
                free(flow->exe);
                free(flow->name);
                free(flow);
        }
}
