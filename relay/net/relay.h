/* The relay: everything that its connections share. Owned by relay.c; one per process. */
#ifndef NET_RELAY_H
#define NET_RELAY_H

#include "inspect/intercept.h"
#include "inspect/roots.h"
#include "net/loop.h"
#include "net/metrics.h"
#include "net/route.h"
#include "record/writer.h"
#include "tapline_wire.h"

#include <sys/types.h>

struct flow;
struct control;
struct rings;
struct process_table;
struct name_table;
struct promised;
struct tapped_table;
struct madeup_table;
struct past;
struct listener;
struct pipe_pool;
struct control_client;
struct hold;
struct logins;
struct activation;
struct admin;
struct workers;

/* Who looks names up: the programs; the upstream where they cannot; always the upstream, or we. */
enum relay_resolve { RELAY_RESOLVE_AUTO, RELAY_RESOLVE_LOCAL, RELAY_RESOLVE_REMOTE };

/* Times are of --listen's clients; 0: no limit. Redirected programs have the limits that they would
 * have without us. */
struct relay_limits {
        int head_ms;    /* a request, from the connection's first moment */
        int connect_ms; /* until the upstream is there */
        int answer_ms;  /* until a forwarded request is answered, if only the upstream is waited for
                         */
        int idle_ms;    /* a tunnel in which nothing moves */
        int linger_ms;  /* the same once one side has ended */
        int keepalive_s;
        unsigned max_connections; /* 0: as many as there are descriptors for */
};

/* What the relay is to do. Everything is borrowed while it is in use (see unused). */
struct relay_options {
        const char *socket_path;   /* control socket to make, or NULL */
        const char *const *listen; /* NULL-terminated "ADDR:PORT" or "unix:PATH" for explicit
                                      clients; may be NULL */
        const struct activation *activation; /* sockets that were passed to us, or NULL */
        unsigned workers;                    /* threads for busy tunnels, beside the main one */
        const char *admin;                   /* where /healthz and /metrics are served, or NULL */
        const struct logins *logins;         /* who may use listen's TCP sockets; NULL: no login */
        const struct host_list *allow;       /* from where, beside loopback; NULL: anywhere */
        struct relay_limits limits;
        const struct routing *routing; /* the way out */
        const struct host_list *bypass;
        enum relay_resolve resolve;
        struct record *record;
        struct inspector *inspector; /* NULL: nothing is inspected */
        bool digest;                 /* record the SHA-256 of bodies */
        int lifetime_fd;             /* when it reports end of file, drain and stop; -1: none */
        int ready_fd;                /* gets one line when all sockets are open; -1: none */
        const char *via;             /* our name in Via; NULL: one of our own; "": no Via */
        int drain_ms;                /* open connections get that long when stopping */
        /* SIGHUP: returns new options, of which the sockets are not looked at, or NULL to go on as
         * before. NULL: SIGHUP is not for us. */
        struct relay_options *(*reload)(void *ctx);
        void *reload_ctx;
        /* Options are used by the relay and by the flows that began under them. Called when the
         * last of them lets go; may be NULL. */
        void (*unused)(struct relay_options *options);
        unsigned users;
};

struct relay {
        struct relay_options *options;   /* shared with the flows; see relay_options_drop */
        struct loop *loop;               /* owned */
        struct record *record;           /* borrowed */
        struct flow *flows;              /* owned list */
        struct flow *closed;             /* of these, what flow_sweep() frees, by next_closed */
        struct flow *by_port;            /* hash of flows with a client port, not owned */
        struct past *pasts;              /* owned hash: verdicts of flows that are gone */
        struct process_table *processes; /* owned */
        struct name_table *names;        /* owned */
        struct madeup_table *madeup;     /* owned */
        struct tapped_table *tapped;     /* owned */
        struct promised *promised;       /* owned: what index pages say of files */
        struct roots *roots;             /* owned: what each process trusts */
        uv_timer_t roots_timer;          /* bounds the wait for them, trusted.c */
        uv_work_t roots_work;            /* reads those of the run, in a thread */
        bool roots_working;
        struct pipe_pool *pipes;                /* owned */
        struct control *control;                /* owned */
        struct control_client *control_clients; /* owned list */
        struct rings *rings;                    /* owned; NULL: none */
        struct listener *listeners;             /* owned list */
        struct hold *hold;                      /* owned; NULL: this kernel has no way */
        uint16_t private_port;                  /* loopback, for redirected connections */
        struct workers *workers;                /* owned; NULL: none */
        struct admin *admins;                   /* owned list */
        struct metrics metrics;
        uint64_t next_flow, next_request;
        unsigned flow_count;
        uint64_t turns; /* of the loop */
        uint64_t fd_limit;
        bool paused;            /* some listeners wait for room */
        uv_timer_t look, retry; /* data NULL: not in use yet */
        /* Of relay_may_note(). */
        int64_t noted_room_us, noted_stranger_us, noted_login_us, noted_lost_us, noted_held_us;
        unsigned unjoined; /* flows told to join that have not yet: see flow_expects_join */
        bool draining;
        const char *via;  /* borrowed: our name in Via; NULL: no Via */
        char via_own[32]; /* it, if the user has given none */
};

/* Open sockets and get ready. Returns 0 and *out (owned), or -errno with a message on standard
 * error. */
int relay_new(struct relay **out, struct relay_options *options);
/* Do now, while nobody waits, what would hold up the first connection (parsing the roots). */
void relay_prepare(struct relay *relay);
/* Serve until the lifetime descriptor ends or SIGTERM or SIGINT comes, then drain. Returns 0. */
int relay_run(struct relay *relay);
/* Returns false if a thread is still busy for it (a name server, or the like, that does not
 * answer): memory that it may use stays, and the process has to be ended by _exit(2), for exit(3)
 * would wait. */
bool relay_free(struct relay *relay);

/* The present options, for one more user; and back. */
struct relay_options *relay_options_share(struct relay *relay);
void relay_options_drop(struct relay_options *options);

/* Write one relay.note event. */
__attribute__((format(printf, 2, 3))) void relay_note(struct relay *relay, const char *format, ...);

/* True if the note that *last_us is kept for may be written again: once a minute, however often it
 * would apply. */
bool relay_may_note(struct relay *relay, int64_t *last_us);

/* Note that something which has no flow to tell of it was lost, and the errno that it was lost for.
 * Once a minute. */
void relay_note_lost(struct relay *relay, const char *what, int error);

#endif
