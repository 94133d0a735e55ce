/* Flows whose program waits at the hold; see held.h. Nothing tells the relay when such a program
 * gives up (a descriptor in SYN_SENT is closed without a packet), so it looks now and then. */
#include "net/held.h"
#include "net/hold.h"

#include <string.h>
#include <utlist.h>

enum {
        LOOK_MS = 500, /* between looks while the dial goes on */
        RETRY_MS = 50,
        RETRY_LONGEST_MS = 150000, /* connect(2) itself gives up after 127 s (tcp_syn_retries) */
        ARRIVE_MS = 10000,         /* loopback is quick, unless the machine is very busy */
};

static void program_gone(struct flow *flow)
{
        flow_abort(flow, &(struct flow_end){"client", "reset",
                                            "gave up before the connection was there", 0});
}

static bool is_gone(const struct flow *flow)
{
        return hold_is_waiting(flow->relay->hold, &flow->local, flow->cookie) == 0;
}

/* Which shows in that it becomes writable. */
static void wait_until_connected(struct flow *flow)
{
        side_blocked(&flow->client);
        flow_limit(flow, ARRIVE_MS);
}

/* It cannot be answered now, and is not told anything false: we try again for as long as connect(2)
 * waits. A former connection between the same two ports that is in TIME_WAIT stands in the way
 * (EADDRNOTAVAIL) only where the kernel may not let the new one's SYN end it: net.ipv4.tcp_rfc1337,
 * and no timestamps. */
static void try_later(struct flow *flow, int error)
{
        struct relay *relay = flow->relay;
        int64_t now_us = loop_now_us(relay->loop);

        if (flow->unanswered_since_us == 0)
                flow->unanswered_since_us = now_us;
        if (now_us - flow->unanswered_since_us > INT64_C(1000) * RETRY_LONGEST_MS) {
                flow_abort(flow, &(struct flow_end){"relay", "error", "cannot be connected back to",
                                                    error});
                return;
        }
        if (relay_may_note(relay, &relay->noted_held_us))
                relay_note(relay,
                           "a program waits for its connection: port %u cannot be connected "
                           "back to yet: %s",
                           flow->local.port, strerror(error));
        flow_limit(flow, RETRY_MS);
}

/* The descriptor that is to be answered must be the one that waits: its port may be another
 * program's by now. */
void held_answer(struct flow *flow)
{
        int fd, answered;

        if (is_gone(flow)) {
                program_gone(flow);
                return;
        }
        fd = hold_answer(flow->relay->hold, &flow->local, flow->verdict_error != 0);
        if (fd < 0) {
                try_later(flow, -fd);
                return;
        }
        side_set_options(flow->relay, fd);
        answered = hold_is_answered(fd);
        flow_attach_client(flow, fd);
        if (answered < 0)
                program_gone(flow);
        else if (answered > 0)
                flow_joined(flow);
        else
                wait_until_connected(flow);
}

void held_check(struct flow *flow)
{
        if (flow->state != FLOW_DIALLING)
                held_answer(flow);
        else if (is_gone(flow))
                program_gone(flow);
        else
                flow_limit(flow, LOOK_MS);
}

void held_begin(struct flow *flow)
{
        flow->held = true;
        if (flow->state == FLOW_DIALLING)
                flow_limit(flow, LOOK_MS);
        else
                held_answer(flow);
}

void held_check_all(struct relay *relay)
{
        struct flow *flow;

        DL_FOREACH (relay->flows, flow)
                if (flow->held && flow->state == FLOW_DIALLING)
                        held_check(flow);
}
