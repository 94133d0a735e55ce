/* Getting to a target: resolve, connect, and through a chain of upstream proxies. Everything
 * happens on the loop; the answer comes by callback, once. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "net/address.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "tapline_wire.h"

#include <stddef.h>
#include <sys/socket.h>

enum dial_stage { DIAL_RESOLVE, DIAL_CONNECT, DIAL_PROXY, DIAL_DONE };

/* What a program has asked of its own socket, for the one that stands for it. All zero: nothing. */
struct dial_manner {
        struct wire_addr local;   /* connect from this address (the port is not taken over) */
        int syn_count;            /* TCP_SYNCNT */
        unsigned user_timeout_ms; /* TCP_USER_TIMEOUT */
};

/* Returns 0, or the errno with which connect(2) or bind(2) would have failed the program. */
int dial_manner_apply(const struct dial_manner *manner, int fd, int family);

struct dial_request {
        const char *name;                /* host name or literal, or NULL: address only */
        const struct wire_addr *address; /* what the program asked for, or NULL: resolve name */
        uint16_t port;
        const struct upstream *via; /* NULL: direct; borrowed while dialling */
        struct dial_manner manner;  /* of direct attempts */
        bool at_once; /* a direct connection or a refusal may be told in the turn it was begun in */
        bool plain;   /* stop at the last proxy if it speaks HTTP: absolute-form */
        const char *authorization;  /* the client's own Proxy-Authorization, or NULL; given to the
                                       last proxy if that is an HTTP one without credentials */
        const char *connect_fields; /* lines for CONNECT to HTTP proxies, or NULL; borrowed while
                                       dialling */
        unsigned connect_ms;        /* for one connect(2) or race of them; 0: the default */
        bool spare; /* spare_fd is a connection to the last proxy, from an earlier dial; taken over
                     */
        int spare_fd;
        bool (*is_own)(void *ctx, const struct wire_addr *to); /* leads to ourselves; NULL: none */
        void *own_ctx;
};

struct race_try;

struct dial_result {
        int fd;                /* connected, non-blocking; -1 on failure; the callee takes it */
        enum dial_stage stage; /* where it failed, or DIAL_DONE */
        int error;             /* errno as the program is to see it */
        char text[320];        /* one sentence about a failure */
        char address[64];      /* literal of the peer connected to (or last tried), "" if none */
        int64_t duration_us;
        const struct hop *hop; /* the proxy that failed or refused, or the last one; NULL: direct */
        bool down;             /* a proxy failed, not the target: another one may do better */
        bool own;              /* refused because it leads to ourselves */
        bool tls_failed;       /* the handshake with a proxy, or its certificate */
        const struct race_try *tries; /* the addresses tried (race.h); borrowed */
        size_t try_count;
        /* What the proxy said; status 0: nothing. Borrowed, valid during the callback. */
        unsigned proxy_status;  /* of HTTP */
        const char *proxy_head; /* its last head, unparsed */
        size_t proxy_head_len;
        const char *after; /* the tunnel's first bytes on success; a refusal's body, decoded and at
                              most 64 KiB, on failure */
        size_t after_len;
        bool credentials; /* we sent some */
        int kept_fd; /* after a 407 that the client has to answer: the connection to the proxy, on
                        which it may say more (NTLM); -1: none. Closed unless the callee sets it to
                        -1 and thereby takes it. */
        bool auth_wanted; /* a SOCKS proxy wants a login, or did not take ours */
};

struct dial;

/* Start. Copies the request's strings. done is called from the loop, never from here. Returns NULL
 * with errno ENOMEM. The dial frees itself after done; dial_cancel ends it without calling done. */
struct dial *dial_start(struct loop *loop, const struct dial_request *request,
                        void (*done)(void *ctx, struct dial_result *result), void *ctx);
void dial_cancel(struct dial *d);

#endif
