/* The inside of a dial, shared by dial.c (its life, sockets and time) and the protocols of the
 * proxies: dial_http.c, dial_socks.c, dial_tls.c. Nobody else includes this. */
#ifndef NET_DIAL_STATE_H
#define NET_DIAL_STATE_H

#include "net/auth.h"
#include "net/body.h"
#include "net/dial.h"
#include "net/head.h"
#include "net/race.h"

enum {
        DIAL_ANSWER_MS = 60000, /* a proxy's answer: it may have to dial far */
        DIAL_BODY_MAX = 65536,  /* of a refusal's body */
        DIAL_IN_MAX = HEAD_MAX + DIAL_BODY_MAX,
};

/* How to talk to one kind of proxy. Each function may end the dial; they look at d->over then. */
struct dial_protocol {
        void (*start)(struct dial *d);            /* say the first thing */
        void (*received)(struct dial *d);         /* look at d->in */
        void (*ended)(struct dial *d, int error); /* no more will come; 0: end of file */
        void (*late)(struct dial *d);             /* the time set with dial_limit is over */
};

extern const struct dial_protocol dial_http, dial_socks4, dial_socks5;

struct dial {
        struct loop *loop; /* borrowed */
        struct watch watch;
        uv_getaddrinfo_t lookup;
        uv_timer_t *timer; /* owned; from the loop's spares */
        struct deferred finish, grave;
        int handles; /* until it is buried, and requests of libuv: they hold this memory */
        bool over;   /* done was called, or cancelled */
        char *name, *authorization; /* owned */
        const char *connect_fields; /* borrowed, or NULL */
        uint16_t port;
        const struct upstream *via; /* borrowed */
        bool at_once, plain;
        struct wire_addr target; /* family 0: by name */
        struct dial_manner manner;
        unsigned connect_ms;
        int spare_fd; /* owned; -1: none */
        bool (*is_own)(void *ctx, const struct wire_addr *to);
        void *own_ctx;
        struct race *race;               /* owned while it runs */
        struct race_try tries[RACE_MAX]; /* of the last race */
        struct sockaddr_storage addresses[RACE_MAX];
        size_t address_count;
        void (*found)(struct dial *d); /* not NULL: a lookup is under way */
        const char *sought;            /* borrowed: the name that is looked up */
        int64_t start_us;

        const struct hop *hop; /* the proxy that is talked to; NULL: direct */
        unsigned depth;        /* its place in the chain */
        unsigned redials;
        const struct dial_protocol *protocol;
        struct bridge *tls; /* owned while its handshake runs */
        char *out;          /* owned: what is being sent; wiped */
        size_t out_len, out_sent;
        char *in; /* owned: what was received and not used up */
        size_t in_len, in_cap;

        /* of the protocols */
        unsigned step;                         /* socks */
        struct wire_addr local;                /* socks4, socks5: the goal, looked up here */
        struct auth *auths[UPSTREAM_HOPS_MAX]; /* owned: http, by depth */
        char *head;                            /* owned: http, the proxy's last head */
        size_t head_len;
        bool refused;     /* http: a refusal's body is being read */
        struct body body; /* http: how it ends */
        bool body_faulty; /* http: and that others may see another end */
        size_t body_len;  /* http: its content so far, at the start of in */
        bool reused;      /* http: asked again on the same connection */
        uv_work_t think;  /* http: auth_think() in the pool */
        bool thinking, kept;

        struct dial_result result;
        void (*done)(void *ctx, struct dial_result *result);
        void *ctx;
};

/* Fail. stage and error are what the program is to see. */
__attribute__((format(printf, 4, 5))) void dial_fail(struct dial *d, enum dial_stage stage,
                                                     int error, const char *format, ...);

/* Send len bytes (copied). One message at a time. */
void dial_send(struct dial *d, const void *data, size_t len);
/* n bytes of d->in have been understood. */
void dial_use(struct dial *d, size_t n);
/* Call the protocol's late in so many ms. */
void dial_limit(struct dial *d, uint64_t ms);

/* The proxy lets us through: on to the next one, or done. */
void dial_through(struct dial *d);
/* All from the beginning: the first proxy, with what was learnt since. Returns false if that has
 * been done too often. */
bool dial_again(struct dial *d);
/* dial_connect.c: connect to the first proxy, or to the target; then dial_connected(). */
void dial_connect(struct dial *d);
void dial_connected(struct dial *d, int fd);

/* Look a host up (family AF_UNSPEC: any); found is called, perhaps at once, with at least one
 * address in d->addresses. If there is none the dial fails. */
void dial_resolve(struct dial *d, const char *host, uint16_t port, int family,
                  void (*found)(struct dial *d));

/* Keep the memory while a request of libuv holds it. */
void dial_hold(struct dial *d);
void dial_release(struct dial *d);

/* Whom the present proxy is to connect to: the next one or the target. */
void dial_goal(const struct dial *d, const char **host, uint16_t *port, char literal[64]);

/* "the upstream proxy http://...", for messages. */
const char *dial_shown(const struct dial *d);

#endif
