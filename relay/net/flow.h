/* One connection through the relay: two sides, a state, and how it ended. Owns both descriptors and
 * everything that hangs on them. tunnel.c moves the bytes, front.c meets new clients, control.c
 * brings announcements; flow.c owns life, events in the record, and death.
 *
 *   redirected:  DIALLING -> JOINING -> TUNNEL | INTERCEPT -> CLOSED
 *   explicit:    HEAD -> DIALLING -> TUNNEL | INTERCEPT | ANSWER -> CLOSED
 *   plain HTTP:  HEAD -> DIALLING -> FORWARD -> HEAD ... -> CLOSED
 *
 * A client's connection that goes on after its upstream has ended goes on in a new flow. */
#ifndef NET_FLOW_H
#define NET_FLOW_H

#include "net/dial.h"
#include "net/relay.h"
#include "record/hash.h"

enum flow_state {
        FLOW_HEAD,      /* an explicit client is sending its request's head */
        FLOW_DIALLING,  /* the upstream is not there yet */
        FLOW_JOINING,   /* the upstream is there, the program's descriptor is not */
        FLOW_TUNNEL,    /* bytes pass */
        FLOW_INTERCEPT, /* bytes pass through TLS on both sides */
        FLOW_FORWARD,   /* a plain HTTP request goes up, its answer comes down */
        FLOW_ANSWER,    /* a last answer is being written to the client */
        FLOW_CLOSED,    /* to be freed at the end of the turn */
};

enum flow_kind { FLOW_REDIRECTED, FLOW_CONNECT, FLOW_HTTP, FLOW_SOCKS };

struct side {
        struct watch watch; /* its fd is this side's; registered while the state needs it */
        struct flow *flow;
        int fd;            /* owned; -1: not there */
        bool eof;          /* it will send no more */
        bool shut;         /* we have told it that we send no more */
        bool fin_seen;     /* its FIN has come, read or not: a reset after it cuts nothing off */
        bool fin_next;     /* behind what is unread comes its FIN, and nothing else */
        bool readable;     /* there may be something to read; see side_was_read */
        bool ending;       /* an end, an error or urgent data: only reading tells what is there */
        bool bulk;         /* much comes at a time */
        bool reset;        /* close it with a reset */
        int error;         /* it was reset: what reading to the end comes to */
        bool unwanted;     /* the other side has ended and takes no more: read and drop */
        uint64_t received; /* bytes read from it */
        char *out;         /* owned: bytes to be written to it before anything else */
        size_t out_len, out_sent;
        struct pipe_pair *pipe; /* owned: bytes read from it, on their way to the other side */
        size_t piped;
};

/* Source address and port of a client's connection to the relay. */
struct port_key {
        uint16_t family, port;
        uint8_t bytes[16];
};

/* How a flow ended, for the record. Strings are static. */
struct flow_end {
        const char *first; /* "client", "server" or "relay" */
        const char *how;   /* "eof", "reset", "error", "refused" */
        const char *reason;
        int error; /* errno or 0 */
};

struct flow {
        struct relay *relay;           /* borrowed */
        struct relay_options *options; /* as they were when it began */
        struct flow *prev, *next;
        struct flow *next_closed;
        UT_hash_handle hh; /* in relay->by_port, if keyed */
        uint64_t id;
        enum flow_state state;
        enum flow_kind kind;
        struct side client, server;
        struct port_key key;
        bool keyed;
        bool public_listener;     /* it came to an address of --listen */
        bool wants_login;         /* and has to say who it is */
        pid_t pid, tid;           /* 0: not known */
        char *exe;                /* owned or NULL */
        char *name;               /* owned or NULL: host name the client asked for */
        struct wire_addr address; /* family 0: by name only */
        bool made_up;             /* address only stands for name: dial by name */
        uint16_t port;
        bool nonblock;
        struct wire_addr local;         /* a redirected client's own address, once it has joined */
        uint64_t cookie;                /* of its socket; 0: not known */
        bool held;                      /* it waits at the hold (hold.h) */
        int64_t unanswered_since_us;    /* there, although the dial has ended; 0: not */
        bool told;                      /* a verdict has been sent */
        struct dial_manner manner;      /* as the program's socket has it */
        bool expects_join;              /* counted in relay->unjoined */
        struct dial *dial;              /* owned while dialling */
        const struct upstream *choices; /* borrowed: the ways out; NULL: direct only */
        const struct upstream *via;     /* borrowed: the one taken; NULL: direct */
        char *connect_fields;           /* owned or NULL: for CONNECT to proxies, of the client's */
        uint32_t tried;                 /* set of bits: choices that failed */
        bool plain;                     /* its request goes to a proxy in absolute form */
        unsigned auth_tried;            /* of auth_learn(), for the request under way */
        char *token;                    /* owned or NULL: what that request says to token_for */
        const struct hop *token_for;    /* borrowed */
        const struct upstream *spare;   /* borrowed: spare_fd leads to its last proxy; NULL: none */
        int spare_fd;                   /* owned if spare */
        struct control_client *control; /* borrowed: who waits for the verdict */
        int verdict_error;              /* errno of a failed dial */
        bool classified;                /* the first client bytes have been looked at */
        int broken;                     /* errno of what it cannot go on without; ends it soon */
        const char *broken_by;          /* static */
        bool passing;                   /* dialled afresh after INTERCEPT_PASS: hands off */
        struct recorder *recorder;      /* owned; NULL: not observed */
        struct intercept *intercept;    /* owned */
        char *head;                     /* owned: request being read */
        size_t head_len, head_cap;
        unsigned char socks_version, socks_step;
        struct forward *forward; /* owned; NULL: no plain HTTP */
        bool kept;               /* the client's connection has served a request before */
        bool unread;             /* head holds bytes that nobody has looked at */
        bool may_keep;           /* a refused CONNECT's client may ask again */
        struct deferred again;   /* more to do without waiting for an event */
        uv_timer_t *timer;       /* owned; from the loop's spares */
        int64_t started_us, quiet_since_us; /* see limits.c */
        uint64_t progress;
        unsigned undelivered;
        bool probed;
        struct worker *worker; /* whose thread has the sides; NULL: the main one */
        struct flow *worker_prev, *worker_next;
        bool offered, has_ended;
        struct flow_end ended; /* what the worker says */
        const char *first;     /* static: the side that ended first, once one has */
};

/* A new flow in state, on the relay's list. Returns NULL when out of memory. */
struct flow *flow_new(struct relay *relay, enum flow_kind kind, enum flow_state state);

/* Who opened it; the executable is looked up. */
void flow_set_process(struct flow *flow, pid_t pid, pid_t tid);

/* Set the ways out and take the first one that is healthy. */
void flow_choose(struct flow *flow, const struct upstream *choices);

/* Start getting to the target by flow->via. Where that fails and is not the target's fault, the
 * next of the choices is taken. */
void flow_dial(struct flow *flow, bool plain, const char *authorization);

/* The client's side is there: attach fd (now owned by the flow), which has the options of an
 * accepted socket (side_set_options for one that was not accepted). */
void flow_attach_client(struct flow *flow, int fd);

/* Announcement and connection have found each other: go on as far as the dial has come. */
void flow_joined(struct flow *flow);

/* Take the client's descriptor out of a flow that has consumed nothing, and end it without a trace.
 * Returns the descriptor, now the caller's. */
int flow_give_up_client(struct flow *flow);

/* The client may ask for more: wait for its next request. What head holds belongs to that. */
void flow_keep(struct flow *flow);

/* That is so, and nothing of the next request has come. */
static inline bool flow_is_idle(const struct flow *flow)
{
        return flow->kept && flow->head_len == 0;
}

/* The relay stops: close the clients' connections that wait for a next request. */
void flow_close_idle(struct relay *relay);

/* End flow, but not its client's connection, which goes on in a new flow (returned, borrowed) with
 * what head holds. NULL when out of memory: nothing has happened. */
struct flow *flow_hand_over(struct flow *flow, const struct flow_end *end);

/* Enter or leave the count of flows that the program is about to join. */
void flow_expect_join(struct flow *flow, bool expects);

/* Find and file by the client's port. Returns false without memory: it cannot be found. */
struct port_key flow_key(const struct wire_addr *client);
struct flow *flow_find(struct relay *relay, struct port_key key);
bool flow_set_key(struct flow *flow, struct port_key key);

/* Both sides are there: move bytes. */
void flow_start(struct flow *flow);

/* Write text to the client, then close. text is copied. */
void flow_answer(struct flow *flow, const char *text, size_t len, const struct flow_end *end);

/* End it: event and descriptors. flow_abort tells both sides with RST instead of FIN; side_abort,
 * called before, marks one. Freed at the end of the turn; closing twice does nothing. */
void flow_close(struct flow *flow, const struct flow_end *end);
void flow_abort(struct flow *flow, const struct flow_end *end);
void side_abort(struct side *side);

/* The caller goes on with the flow: it is ended later in this turn. */
void flow_break(struct flow *flow, int error, const char *why);

/* Free the closed flows. Called at the end of each turn. */
void flow_sweep(struct relay *relay);

/* Fill who for events. */
struct event_who flow_who(const struct flow *flow);

/* Time limit in milliseconds for the present state; 0 takes it away. */
void flow_limit(struct flow *flow, uint64_t ms);

/* n bytes were received. The sum may be read by another thread. */
void side_count(struct side *side, size_t n);
uint64_t side_received(const struct side *side);

/* Fewer bytes came than were asked for, or none: there is no more until the next event (epoll(7),
 * question 9), unless the side is ending. */
void side_was_read(struct side *side, ssize_t n, size_t asked);

/* Close its descriptor, in order or (side_abort) with a reset. */
void side_close_fd(struct side *side);

/* What accepted sockets get from their listener: no delay, probes, and a reset as their end, which
 * side_close_fd takes back: the kernel closes the descriptors of a relay that was killed, and its
 * FIN would make what was cut off look complete. */
void side_set_options(const struct relay *relay, int fd);
void side_reset_if_killed(int fd);
void side_set_probes(const struct relay *relay, int fd);

/* End it later in this turn, with this errno and reason (static): for where the caller goes on with
 * the flow. */
void flow_break(struct flow *flow, int error, const char *why);

/* Give a side bytes to be written before anything else (copied, appended). Returns 0, or -ENOMEM:
 * then the flow is ended later in this turn, whatever the caller does. */
int side_queue(struct side *side, const char *data, size_t len);
/* Write what is queued. Returns 0 when all is out, -EAGAIN, or -errno. */
int side_flush(struct side *side);
/* A write to it did not go through: the loop is to say when it is worth another try. */
void side_blocked(struct side *side);

#endif
