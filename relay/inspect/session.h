/* The inside of an intercepted connection, shared by intercept.c (its life), handshake.c (until
 * both sides are up), pump.c (from then on) and tls_event.c. Nobody else includes this. */
#ifndef INSPECT_SESSION_H
#define INSPECT_SESSION_H

#include "inspect/hello.h"
#include "inspect/intercept.h"
#include "inspect/wire.h"

enum phase {
        PHASE_SNIFF,  /* is it TLS at all? */
        PHASE_HELLO,  /* reading the client's hello */
        PHASE_ORIGIN, /* the client waits; the origin's handshake */
        PHASE_CLIENT, /* the client's handshake goes on */
        PHASE_PUMP,
        PHASE_PASSED,
        PHASE_CLOSED
};

/* One side: a descriptor, TLS over it, and what became of it. */
struct end {
        const char *name; /* "client" or "server", as flow.close has it */
        struct wire wire;
        SSL *ssl;  /* owned; NULL before its handshake */
        int alert; /* the fatal alert that came from there, or -1 */
};

/* One direction of plaintext. */
struct lane {
        struct end *from, *to; /* borrowed */
        char *data;            /* chunk of the inspector, NULL when empty */
        size_t at, len;
        bool ended;    /* close_notify was read */
        bool notified; /* and passed on */
        bool fin;      /* end of the stream was read */
        bool shut;     /* and passed on: nothing more to do */
        bool dead;     /* the other end takes no more bytes */
};

struct intercept {
        struct inspector *inspector; /* borrowed */
        enum phase phase;
        struct end client, origin;
        struct lane client_to_server, server_to_client;
        struct hello hello;
        char *name;    /* owned: what to verify and to certify when there is no SNI, or NULL */
        char *address; /* owned, or NULL */
        X509_STORE *(*roots)(void *ctx); /* intercept.h; may be NULL */
        bool (*roots_pending)(void *ctx);
        void *roots_ctx;
        uint16_t port;
        char *resume_key;          /* owned: of the session with the origin, or NULL */
        struct recorder *recorder; /* owned; NULL when there is no record */
        struct event_who who;      /* exe owned */
        uint64_t flow;
        int64_t deadline_ms;  /* of the handshakes */
        int64_t ready_ms;     /* when the client's handshake was done */
        bool hello_read;      /* hello is filled in */
        bool hello_bad;       /* and was not readable */
        bool answer;          /* the client's handshake may go on */
        bool client_reported; /* its tls event is written */
        bool spoken;          /* plaintext has moved, either way */
        bool has_roots;       /* the client's roots are set */
        bool wants_certificate;
        bool waiting; /* for the RSA key, of which no descriptor tells */
        bool has_more;
        const char *first; /* who ended first, or NULL */
        struct intercept_end end;
        char reason[200];               /* end.reason */
        char issuer[256], subject[256]; /* of the origin's certificate */
        char names[256];                /* hosts that it names, for a person */
        char issuer_url[256];           /* where it says that its issuer's certificate is */
        char not_before[24], not_after[24];
        char missing[256],
                missing_issuer[256]; /* the next of its chain: tls_event_keep_missing() */
        int chain_len;               /* certificates that the origin sent */
        const char *lax;             /* what of RFC 5280 its chain does not keep, or NULL */
};

static inline const char *session_name(const struct intercept *ic)
{
        if (*ic->hello.sni)
                return ic->hello.sni;
        return ic->name ? ic->name : ic->address;
}

/* ---- intercept.c ---- */

int64_t session_now_ms(void);

/* Fill end and leave for PHASE_CLOSED. abort: the side that is told with RST, or NULL. */
void session_close(struct intercept *ic, const struct end *by, const char *how, const char *reason,
                   int error, const struct end *abort);

/* ---- handshake.c: each phase does what it can now and moves ic->phase on when done ---- */

struct tls_event;

void handshake_sniff(struct intercept *ic);
void handshake_hello(struct intercept *ic);

/* The deadline has come before the handshakes were through. */
void handshake_expire(struct intercept *ic);

/* Leave for PHASE_PASSED: with this event, with none, or with one that says why. */
void session_pass(struct intercept *ic, const struct tls_event *what);
void session_pass_silently(struct intercept *ic, const char *reason);
void session_pass_by_choice(struct intercept *ic, const char *reason);

/* TLS over end's wire. NULL when out of memory. */
SSL *session_ssl_new(struct intercept *ic, SSL_CTX *ctx, struct end *end);

/* ---- origin.c ---- */

void handshake_begin_origin(struct intercept *ic);
void handshake_origin(struct intercept *ic);

/* ---- client.c ---- */

void handshake_client(struct intercept *ic);

/* The client has shown that it trusts us, or has left without a word. Only the first call counts.
 */
void handshake_client_accepted(struct intercept *ic);
void handshake_client_left(struct intercept *ic);
void session_report_client(struct intercept *ic, const char *error); /* NULL: all is well */

/* ---- pump.c ---- */

void pump_drive(struct intercept *ic);
void pump_release(struct intercept *ic); /* give buffers back */

/* One half has ended, the other has not; and it has been silent for too long. */
bool pump_is_half_ended(const struct intercept *ic);
void pump_expire(struct intercept *ic);

#endif
