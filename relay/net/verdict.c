/* Verdicts; see verdict.h. */
#include "net/verdict.h"

#include <stdlib.h>
#include <string.h>

enum { PAST_MAX = 1024 }; /* failed verdicts remembered for getsockopt(SO_ERROR) */

/* A failed flow's errno, by the client's port, until the port is used again. */
struct past {
        struct port_key key;
        int error;
        struct wire_addr peer;
        UT_hash_handle hh;
};

void flow_past_forget(struct relay *relay, struct port_key key)
{
        struct past *p;

        HASH_FIND(hh, relay->pasts, &key, sizeof key, p);
        if (p == NULL)
                return;
        HASH_DEL(relay->pasts, p);
        free(p);
}

void flow_past_remember(const struct flow *flow)
{
        struct relay *relay = flow->relay;
        struct past *p = calloc(1, sizeof *p);

        if (p == NULL)
                return;
        flow_past_forget(relay, flow->key);
        if (HASH_COUNT(relay->pasts) >= PAST_MAX)
                flow_past_forget(relay, relay->pasts->key);
        p->key = flow->key;
        p->error = flow->verdict_error;
        p->peer = flow->address;
        HASH_ADD(hh, relay->pasts, key, sizeof p->key, p);
}

int flow_past_verdict(struct relay *relay, struct port_key key, struct wire_addr *peer)
{
        struct past *p;

        HASH_FIND(hh, relay->pasts, &key, sizeof key, p);
        if (p == NULL)
                return 0;
        *peer = p->peer;
        return p->error;
}

void flow_forget_past(struct relay *relay)
{
        while (relay->pasts != NULL)
                flow_past_forget(relay, relay->pasts->key);
}

void flow_verdict(const struct flow *flow, struct wire_verdict *verdict)
{
        memset(verdict, 0, sizeof *verdict);
        verdict->port = flow->relay->private_port;
        verdict->peer = flow->address;
        verdict->error = flow->verdict_error;
        verdict->state = flow->verdict_error != 0            ? WIRE_STATE_FAILED
                         : flow->state == FLOW_DIALLING && !flow->passing ? WIRE_STATE_PENDING
                                                                          : WIRE_STATE_OPEN;
}
