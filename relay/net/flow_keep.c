/* A client's connection that goes on after a request has been served or refused: in its flow, or in
 * a new one; see flow.h. */
#include "net/flow.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP_MS = 120000 }; /* a client between two requests; most clients give up sooner */

void flow_keep(struct flow *flow)
{
        flow->state = FLOW_HEAD;
        flow->kept = true;
        flow->unread = flow->head_len > 0;
        if (flow->head_len == 0) {
                free(flow->head); /* there may be thousands that wait */
                flow->head = NULL;
                flow->head_cap = 0;
        }
        flow_limit(flow, flow->relay->draining && flow->head_len == 0 ? 1 : KEEP_MS);
        loop_defer(flow->relay->loop, &flow->again);
}

void flow_close_idle(struct relay *relay)
{
        for (struct flow *flow = relay->flows; flow != NULL; flow = flow->next)
                if (flow->state == FLOW_HEAD && flow->kept && flow->head_len == 0)
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
        flow->auth_tried = old->auth_tried;
        flow->pid = old->pid;
        flow->tid = old->tid;
        flow->exe = old->exe != NULL ? strdup(old->exe) : NULL;
        flow->head = old->head;
        flow->head_len = old->head_len;
        flow->head_cap = old->head_cap;
        old->head = NULL;
        spare_move(flow, old);
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
