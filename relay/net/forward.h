/* Plain HTTP that is forwarded (RFC 9110 section 7, RFC 9112): one request at a time goes up, its
 * answer comes down, and the connection to the client serves the next, over the same upstream
 * connection while that leads where the request wants to go. Nothing is collected: a body is passed
 * on as it comes, and who does not take it stops the other side. Upstream connections are never
 * shared between clients, so that one that is authenticated (NTLM) stays its client's.
 *
 * forward_request.c accepts requests, forward_up.c sends their bodies, forward_answer.c judges the
 * answers' heads, forward_auth.c has what a proxy is told that wants credentials, forward.c brings
 * the answers down; forward_head.c and body.c are pure. */
#ifndef NET_FORWARD_H
#define NET_FORWARD_H

#include "net/body.h"
#include "net/flow.h"

enum forward_stage {
        FORWARD_WAITING,   /* for the final answer's head */
        FORWARD_ANSWERING, /* its body comes */
        FORWARD_ANSWERED,
        FORWARD_LINGERING, /* the client is to read the answer's end before it is cut off */
};

/* The request that is under way. What flow->head holds behind used is not sent yet: the rest of the
 * body, or later requests. */
struct forward {
        enum forward_stage stage;
        struct body up, down;
        size_t used;
        size_t head_at; /* of its head in flow->server.out, until that moves */
        char *in;       /* owned: an answer's head that is being read */
        size_t in_len, in_cap;
        unsigned client_minor;
        struct thought *thought; /* forward_auth.c: the flow waits for it; NULL: it does not */
        bool own_login;          /* the client has sent its own credentials */
        bool to_head;            /* its method is HEAD: no answer has a body */
        bool upgrade;            /* it asks to leave HTTP */
        bool expects;            /* its body is held back until a 100 comes, or may be */
        bool idempotent;         /* may be sent twice */
        bool reused;             /* its upstream connection has served another before */
        bool streamed;           /* part of its body is not in flow->head: cannot be sent twice */
        bool up_done;            /* all of it is on its way */
        bool up_broken;          /* the upstream takes no more of it */
        bool answered;           /* something of an answer has come */
        bool client_closes;      /* the client's connection ends behind the answer */
        bool server_ends;        /* the upstream's does */
        const char *ended_by;    /* static: who wanted that first */
};

/* An absolute-form http:// request has been read: check it, and send it on its way. */
void forward_request(struct flow *flow, const struct head *head);

/* A request that has passed this relay before is answered with that, and false returned. */
bool forward_is_no_loop(struct flow *flow, const struct head *head, const char *host);

/* The upstream's side is there. */
void forward_start(struct flow *flow);

/* Something may have come from, or may go to, either side. */
void forward_drive(struct flow *flow, uint32_t events);

/* flow_limit has been reached. */
void forward_timeout(struct flow *flow);

/* The request is on its way and nothing of its final answer has come, so that only the upstream is
 * waited for. */
bool forward_awaits_answer(const struct flow *flow);
/* Nothing has moved for too long. Returns true if the flow is over, with an answer that says who
 * was waited for: 504 or 408. False if it is too late for one. */
bool forward_quiet(struct flow *flow);

/* The flow is between two requests, and its upstream has something to say: it is going. */
void forward_idle(struct flow *flow);

/* The answer that now goes to the client is the last word on this request, but the connection stays
 * for the next one, in a flow of its own. */
void forward_next_flow(struct flow *flow, const struct flow_end *end);

void forward_free(struct forward *f); /* NULL allowed */

/* forward_up.c: send what there is of the request's body. May end the flow. */
void forward_send_up(struct flow *flow);

/* Send what the socket takes and queue the rest. Returns 0 or -errno. */
int forward_send(struct side *side, const char *data, size_t len);

/* Who is to answer, for messages: the proxy, or the origin. Borrowed from the flow. */
const char *forward_upstream_name(const struct flow *flow);

/* forward_auth.c: a head has come. Returns true if it is a challenge that we can answer: the
 * request goes out once more, in another flow, now or when we have thought (forward->thought is
 * set; what has come of the answer is kept). */
bool forward_answers_challenge(struct flow *flow, const struct head *head);
/* There has been enough of thinking: the answer stands. */
void forward_think_no_more(struct flow *flow);
/* Nobody is interested any more. */
void forward_forget_thought(struct forward *f);

/* Look once more at the answer's head that was put off. */
void forward_resume(struct flow *flow);

/* forward_answer.c: bytes of answers' heads have come. Returns false if the flow is over or has
 * become a tunnel; else what is behind the final head, if that is there, is in *rest. */
bool forward_read_heads(struct flow *flow, char *data, size_t len, char **rest, size_t *rest_len);

#endif
