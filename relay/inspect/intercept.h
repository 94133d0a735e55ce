/* One intercepted TLS connection: a handshake on either side, then plaintext moved between both.
 * The client's handshake is suspended after its hello; the origin's is finished first with the
 * client's SNI, ALPN and versions, and verified; then the client gets a leaf and the ALPN the
 * origin chose. Bytes are never changed. Works on two connected non-blocking descriptors that the
 * flow owns; the flow registers them edge-triggered for reading and writing, tells their readiness
 * (intercept_ready) and then calls intercept_drive. */
#ifndef INSPECT_INTERCEPT_H
#define INSPECT_INTERCEPT_H

#include "inspect/inspector.h"
#include "inspect/recorder.h"

enum intercept_result {
        INTERCEPT_BUSY, /* wait for readiness, call again (at once if intercept_has_more) */
        INTERCEPT_PASS, /* nothing was sent to the client: dial the origin afresh and pass the bytes
                         * of intercept_hello() and all later ones through untouched */
        INTERCEPT_CLOSED /* over; intercept_end() tells how */
};

struct intercept_end {
        const char *first;  /* "client" or "server" */
        const char *how;    /* "eof", "reset", "error" */
        const char *reason; /* one clause, owned by the intercept */
        int error;          /* errno or 0 */
        bool abort_client;  /* pass the end on to the client as RST, not FIN */
        bool abort_origin;
};

struct intercept_setup {
        struct inspector *inspector;          /* borrowed */
        const struct recorder_origin *origin; /* borrowed during intercept_new, but for its record
                                               * and counter */
        const char *name;                     /* host name the client asked for, or NULL */
        const char *address;      /* the literal address dialled, used when there is no name */
        int client_fd, origin_fd; /* borrowed until intercept_free */
        /* The roots to verify the origin against, borrowed until the next call; NULL: the
         * inspector's. Asked when the origin's certificate is there, because a client may load its
         * roots after its hello. May be NULL. */
        X509_STORE *(*roots)(void *ctx);
        /* Will there be more of them at once? Then the origin is not judged yet, and
         * intercept_drive is called when there are. Set if roots is. */
        bool (*roots_pending)(void *ctx);
        void *roots_ctx;   /* of both */
        const char *early; /* bytes already read from the client; copied */
        size_t early_len;
};

struct intercept;

/* Returns NULL with errno. Caller owns. */
struct intercept *intercept_new(const struct intercept_setup *setup);
void intercept_free(struct intercept *ic); /* NULL allowed */

/* One of the descriptors is ready, as epoll says (EPOLLIN and so on, edge-triggered). Tell each
 * time, then drive. */
void intercept_ready(struct intercept *ic, bool client, uint32_t events);

/* Do all that can be done without blocking: until both descriptors say EAGAIN, or until one call
 * has moved so much that others should have their turn (then intercept_has_more is true, and no
 * further readiness need come). PASS and CLOSED are final. After half of the connection has ended
 * it stays BUSY until the other half ends; the flow bounds that wait. */
enum intercept_result intercept_drive(struct intercept *ic);
bool intercept_has_more(const struct intercept *ic);

/* How long nothing may happen from now on, in ms; 0: any time. Handshakes have a deadline from
 * their beginning, and a connection of which one half has ended a limit of silence; a few ms mean
 * that it waits for something that no descriptor tells of. Ask again after each intercept_drive;
 * when the time is over call intercept_expire, which returns as intercept_drive does. */
uint64_t intercept_limit(const struct intercept *ic);
enum intercept_result intercept_expire(struct intercept *ic);

/* The client's bytes consumed so far, early ones included; valid after INTERCEPT_PASS. Borrowed. */
const char *intercept_hello(const struct intercept *ic, size_t *len);
/* Why it passed or how it ended; valid after PASS (reason only) or CLOSED. Borrowed. */
const struct intercept_end *intercept_end(const struct intercept *ic);

/* Bytes moved so far beneath TLS, as read from either descriptor; early ones count. */
uint64_t intercept_client_bytes(const struct intercept *ic);
uint64_t intercept_server_bytes(const struct intercept *ic);

/* The name the client gave in its hello, or NULL: none, or not read yet. Borrowed. */
const char *intercept_sni(const struct intercept *ic);

#endif
