/* What became of connections that are gone; see past.h. */
#include "net/past.h"
#include "net/own.h"
#include "record/hash.h"

#include <stdlib.h>

enum { PAST_MAX = 16384 };

struct past {
        uint64_t cookie;
        int error;
        bool was_inspected;
        struct wire_addr peer, own;
        bool own_is_settled; /* own_of_flow */
        UT_hash_handle hh;   /* in order of age */
};

static struct past *find(struct relay *relay, uint64_t cookie)
{
        struct past *p;

        HASH_FIND(hh, relay->pasts, &cookie, sizeof cookie, p);
        return p;
}

static void drop(struct relay *relay, struct past *p)
{
        HASH_DEL(relay->pasts, p);
        free(p);
}

void past_forget(struct relay *relay, uint64_t cookie)
{
        struct past *p = find(relay, cookie);

        if (p != NULL)
                drop(relay, p);
}

void past_forget_all(struct relay *relay)
{
        while (relay->pasts != NULL)
                drop(relay, relay->pasts);
}

void past_add(const struct flow *flow)
{
        struct relay *relay = flow->relay;
        struct past *p = calloc(1, sizeof *p);

        if (p == NULL)
                return;
        past_forget(relay, flow->cookie);
        if (HASH_COUNT(relay->pasts) >= PAST_MAX)
                drop(relay, relay->pasts);
        p->cookie = flow->cookie;
        p->error = flow->verdict_error;
        p->was_inspected = flow->intercept != NULL;
        p->peer = flow->address;
        p->own_is_settled = own_of_flow(flow, &p->own);
        HASH_ADD(hh, relay->pasts, cookie, sizeof p->cookie, p);
        if (p->hh.tbl == NULL)
                free(p);
}

bool past_verdict(struct relay *relay, uint64_t cookie, struct wire_verdict *verdict)
{
        const struct past *p = find(relay, cookie);

        if (p == NULL)
                return false;
        verdict->peer = p->peer;
        verdict->local = p->own;
        if (!p->own_is_settled)
                own_by_route(&p->peer, &verdict->local);
        verdict->error = p->error;
        verdict->state = p->error != 0 ? WIRE_STATE_FAILED : WIRE_STATE_OPEN;
        return true;
}

bool past_was_inspected(struct relay *relay, uint64_t cookie, bool *inspected)
{
        const struct past *p = cookie != 0 ? find(relay, cookie) : NULL;

        if (p != NULL)
                *inspected = p->was_inspected;
        return p != NULL;
}
