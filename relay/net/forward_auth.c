/* A proxy's challenge (407) to a forwarded request, and what we say to it; see forward.h. Digest
 * and Basic are at hand at once. A token of Negotiate is made in a thread, for the library may have
 * to ask a key distribution centre: the flow waits for it with the answer unread. Negotiate
 * authenticates the connection that the token goes out on (RFC 4559 section 6), which serves this
 * client alone. */
#include "net/auth.h"
#include "net/forward.h"

#include <stdlib.h>
#include <string.h>

enum { THINK_MS = 60000 };

struct thought {
        uv_work_t work;
        struct flow *flow; /* borrowed; NULL: it waits no more */
        struct auth *auth; /* owned */
};

static void repeat(struct flow *flow)
{
        flow->forward->used = 0;
        forward_next_flow(flow, &(struct flow_end){"relay", "eof", "asked for credentials", 0});
}

static void think(uv_work_t *work)
{
        struct thought *t = work->data;

        auth_think(t->auth);
}

static void thought(uv_work_t *work, int status)
{
        struct thought *t = work->data;
        struct flow *flow = t->flow;
        char *token = status == 0 ? auth_token(t->auth) : NULL;

        auth_free(t->auth);
        free(t);
        if (flow != NULL)
                flow->forward->thought = NULL;
        if (flow == NULL || flow->state != FLOW_FORWARD) {
                wipe_free(token);
        } else if (token != NULL) {
                flow->token = token;
                flow->token_for = upstream_http(flow->via);
                repeat(flow);
        } else {
                forward_think_no_more(flow);
        }
}

/* Returns false if there is no memory or thread for it. */
static bool begin_thinking(struct flow *flow, struct auth *auth)
{
        struct thought *t = malloc(sizeof *t);

        if (t == NULL)
                return false;
        *t = (struct thought){.flow = flow, .auth = auth};
        t->work.data = t;
        if (uv_queue_work(loop_uv(flow->relay->loop), &t->work, think, thought) < 0) {
                free(t);
                return false;
        }
        flow->forward->thought = t;
        flow_limit(flow, THINK_MS);
        return true;
}

void forward_forget_thought(struct forward *f)
{
        if (f->thought != NULL)
                f->thought->flow = NULL;
        f->thought = NULL;
}

void forward_think_no_more(struct flow *flow)
{
        forward_forget_thought(flow->forward);
        flow_limit(flow, 0);
        forward_resume(flow);
}

/* It is ours to answer: we have credentials, or the client has brought none either. */
static bool is_for_us(const struct flow *flow, const struct hop *hop)
{
        return hop != NULL && (hop->credentials != NULL || !flow->forward->own_login);
}

bool forward_answers_challenge(struct flow *flow, const struct head *head)
{
        const struct hop *hop = upstream_http(flow->via);
        struct auth *auth;

        if (head->status != 407 || !is_for_us(flow, hop))
                return false;
        switch (auth_learn(hop, head, &flow->auth_tried, &auth)) {
        case AUTH_STOP:
                return false;
        case AUTH_RETRY:
                if (flow->forward->streamed)
                        return false; /* not all of it is still here */
                repeat(flow);
                return true;
        case AUTH_THINK:
                if (!flow->forward->streamed && begin_thinking(flow, auth))
                        return true;
                auth_free(auth);
                return forward_answers_challenge(flow, head); /* with something else */
        }
        return false;
}
