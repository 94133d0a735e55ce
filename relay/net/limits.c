/* Limits on numbers and quiet; see limits.h. Quiet tunnels are found by a look at all of them now
 * and then, not by a timer each: bytes that move cost nothing for it. The server's side gets its
 * TCP keepalive then too, so that short connections do not pay for it. */
#include "net/limits.h"
#include "net/flow.h"
#include "net/forward.h"
#include "net/pipe.h"
#include "net/process.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <utlist.h>

enum {
        RESERVE = 64, /* descriptors for all that is not a connection */
        LOOKS = 4,    /* within a limit: a tunnel may stay a quarter longer */
        LOOK_MIN_MS = 50,
        LOOK_MAX_MS = 30000,
};

static uint64_t reserve(const struct relay *relay)
{
        uint64_t wanted = RESERVE + relay->fd_limit / 64;

        /* Of few, a third: two dozen are its own. */
        return wanted < relay->fd_limit / 3 ? wanted : relay->fd_limit / 3;
}

static bool fits(const struct relay *relay)
{
        uint64_t used = 2 * ((uint64_t)relay->flow_count + pipe_pool_count(relay->pipes));

        return used + 2 + reserve(relay) <= relay->fd_limit;
}

bool limits_has_room(struct relay *relay)
{
        unsigned max = relay->options->limits.max_connections;

        if (max != 0 && relay->flow_count >= max)
                return false;
        if (!fits(relay))
                pipe_pool_trim(relay->pipes);
        return fits(relay);
}

/* Grows with every byte that is read from a side or written to one. */
static uint64_t progress(const struct flow *flow)
{
        const struct side *c = &flow->client, *s = &flow->server;

        if (flow->intercept != NULL)
                return intercept_client_bytes(flow->intercept) +
                       intercept_server_bytes(flow->intercept);
        return 2 * (c->received + s->received) - c->piped - s->piped - (c->out_len - c->out_sent) -
               (s->out_len - s->out_sent);
}

/* What the kernel has taken from us and not delivered yet: a slow receiver may live on that for
 * long.
 */
static unsigned undelivered(const struct flow *flow)
{
        int client = 0, server = 0;

        if (ioctl(flow->client.fd, SIOCOUTQ, &client) < 0 ||
            ioctl(flow->server.fd, SIOCOUTQ, &server) < 0)
                return 0;
        return (unsigned)client + (unsigned)server;
}

static int shorter(int a, int b)
{
        return a == 0 || (b != 0 && b < a) ? b : a;
}

static bool is_half_closed(const struct flow *flow)
{
        return flow->client.eof || flow->server.eof;
}

static bool awaits_answer(const struct flow *flow)
{
        return flow->state == FLOW_FORWARD && forward_awaits_answer(flow);
}

static int64_t quiet_limit_us(const struct flow *flow)
{
        const struct relay_limits *limits = &flow->options->limits;
        int ms = limits->idle_ms;

        if (awaits_answer(flow))
                ms = shorter(ms, limits->answer_ms);
        else if (is_half_closed(flow))
                ms = shorter(ms, limits->linger_ms);
        return 1000 * (int64_t)ms;
}

static void close_quiet(struct flow *flow)
{
        bool half = is_half_closed(flow);

        if (flow->state == FLOW_FORWARD && forward_quiet(flow))
                return;
        flow_abort(flow, &(struct flow_end){half ? flow->first : "relay", "error",
                                            half ? "quiet for too long after one side had ended"
                                                 : "quiet for too long",
                                            ETIMEDOUT});
}

/* The program has closed its socket, or is gone: to us that looks as if it had only said that it
 * sends no more. The origin's half is left to the kernel then, as the program would have left it.
 */
static bool is_abandoned(const struct flow *flow)
{
        return flow->state == FLOW_TUNNEL && flow->client.eof && flow->server.shut &&
               flow->server.out_len == 0 && process_has_left(flow->client.fd, flow->cookie);
}

void limits_look(struct flow *flow, int64_t now_us)
{
        uint64_t moved = progress(flow);
        unsigned waiting = undelivered(flow);
        int64_t limit_us = quiet_limit_us(flow);

        if (moved != flow->progress || waiting != flow->undelivered || flow->quiet_since_us == 0) {
                flow->progress = moved;
                flow->undelivered = waiting;
                flow->quiet_since_us = now_us;
        } else if (flow->kind == FLOW_REDIRECTED) {
                if (is_abandoned(flow))
                        flow_close(flow, &(struct flow_end){"client", "eof", "closed", 0});
        } else if (limit_us != 0 && now_us - flow->quiet_since_us >= limit_us) {
                close_quiet(flow);
        }
}

void limits_probe(struct flow *flow)
{
        if (flow->probed || flow->server.fd < 0)
                return;
        flow->probed = true;
        side_set_probes(flow->relay, flow->server.fd);
}

static void look_at_all(uv_timer_t *timer)
{
        struct relay *relay = timer->data;
        struct flow *flow;

        DL_FOREACH (relay->flows, flow) {
                if (flow->worker != NULL)
                        continue;
                limits_probe(flow);
                if ((flow->state == FLOW_TUNNEL || flow->state == FLOW_INTERCEPT ||
                     flow->state == FLOW_FORWARD || flow->kept))
                        limits_look(flow, loop_now_us(relay->loop));
        }
}

void limits_watch(struct relay *relay)
{
        const struct relay_limits *limits = &relay->options->limits;
        int least = shorter(shorter(limits->idle_ms, limits->linger_ms), limits->answer_ms);
        int ms = least != 0 ? least / LOOKS : LOOK_MAX_MS;

        if (relay->look.data == NULL) {
                uv_timer_init(loop_uv(relay->loop), &relay->look);
                relay->look.data = relay;
        }
        uv_timer_stop(&relay->look);
        ms = ms < LOOK_MIN_MS ? LOOK_MIN_MS : ms > LOOK_MAX_MS ? LOOK_MAX_MS : ms;
        uv_timer_start(&relay->look, look_at_all, (uint64_t)ms, (uint64_t)ms);
}
