/* The relay: everything that its connections share. Owned by relay.c; one per process. */
#ifndef NET_RELAY_H
#define NET_RELAY_H

#include "inspect/intercept.h"
#include "inspect/roots.h"
#include "net/loop.h"
#include "net/route.h"
#include "record/writer.h"
#include "tapline_wire.h"

#include <sys/types.h>

struct flow;
struct control;
struct process_table;
struct name_table;
struct tapped_table;
struct madeup_table;
struct past;
struct listener;
struct pipe_pool;
struct control_client;
struct hold;

/* Who looks names up: the programs; the upstream where they cannot; always the upstream, or we. */
enum relay_resolve { RELAY_RESOLVE_AUTO, RELAY_RESOLVE_LOCAL, RELAY_RESOLVE_REMOTE };

/* What the relay is to do. Everything is borrowed for the relay's life. */
struct relay_options {
        const char *socket_path; /* control socket to make, or NULL */
        const char *const
                *listen; /* NULL-terminated "ADDR:PORT" for explicit clients; may be NULL */
        const struct upstream *https_upstream; /* NULL: direct */
        const struct upstream *http_upstream;
        const struct host_list *no_proxy, *bypass;
        enum relay_resolve resolve;
        struct record *record;
        struct inspector *inspector; /* NULL: nothing is inspected */
        bool digest;                 /* record the SHA-256 of bodies */
        int lifetime_fd;             /* when it reports end of file, drain and stop; -1: none */
        int ready_fd;                /* gets one line when all sockets are open; -1: none */
        const char *via;             /* our name in Via; NULL: one of our own; "": no Via */
        int drain_ms;                /* open connections get that long when stopping */
};

struct relay {
        const struct relay_options *options; /* borrowed */
        struct loop *loop;                   /* owned */
        struct record *record;               /* borrowed */
        struct flow *flows;                  /* owned list */
        struct flow *by_port;                /* hash of flows with a client port, not owned */
        struct past *pasts;                  /* owned hash: verdicts of flows that are gone */
        struct process_table *processes;     /* owned */
        struct name_table *names;            /* owned */
        struct madeup_table *madeup;         /* owned */
        struct tapped_table *tapped;         /* owned */
        struct roots *roots;                 /* owned: what each process trusts */
        uv_timer_t roots_timer;              /* bounds the wait for them, trusted.c */
        uv_work_t roots_work;                /* reads those of the run, in a thread */
        bool roots_working;
        struct pipe_pool *pipes;                /* owned */
        struct control *control;                /* owned */
        struct control_client *control_clients; /* owned list */
        struct listener *listeners;             /* owned list */
        struct hold *hold;                      /* owned; NULL: this kernel has no way */
        uint16_t private_port;                  /* loopback, for redirected connections */
        uint64_t next_flow, next_request;
        unsigned unjoined; /* flows told to join that have not yet: see flow_expects_join */
        bool draining;
        const char *via;  /* borrowed: our name in Via; NULL: no Via */
        char via_own[32]; /* it, if the user has given none */
};

/* Open sockets and get ready. Returns 0 and *out (owned), or -errno with a message on standard
 * error. */
int relay_new(struct relay **out, const struct relay_options *options);
/* Do now, while nobody waits, what would hold up the first connection (parsing the roots). */
void relay_prepare(struct relay *relay);
/* Serve until the lifetime descriptor ends or SIGTERM or SIGINT comes, then drain. Returns 0. */
int relay_run(struct relay *relay);
void relay_free(struct relay *relay);

/* Write one relay.note event. */
__attribute__((format(printf, 2, 3))) void relay_note(struct relay *relay, const char *format, ...);

#endif
