/* Getting to a target: resolve, connect, and CONNECT through an upstream proxy. Everything happens
 * on the loop; the answer comes by callback, once. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "net/address.h"
#include "net/loop.h"
#include "net/route.h"
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
        bool plain;                 /* to a proxy without CONNECT (absolute-form requests) */
        const char *authorization;  /* the client's own Proxy-Authorization, or NULL */
};

struct dial_result {
        int fd;                /* connected, non-blocking; -1 on failure; the callee takes it */
        enum dial_stage stage; /* where it failed, or DIAL_DONE */
        int error;             /* errno as the program is to see it */
        char text[256];        /* one sentence about a failure */
        char address[64];      /* literal of the peer connected to (or last tried), "" if none */
        int64_t duration_us;
        /* What the proxy said; status 0: nothing. Borrowed, valid during the callback. */
        unsigned proxy_status;
        const char *proxy_head; /* its last head, unparsed */
        size_t proxy_head_len;
        const char
                *after; /* bytes behind the head: the tunnel's on success, the body's on failure */
        size_t after_len;
        bool credentials; /* we sent some */
};

struct dial;

/* Start. Copies the request's strings. done is called from the loop, never from here. Returns NULL
 * with errno ENOMEM. The dial frees itself after done; dial_cancel ends it without calling done. */
struct dial *dial_start(struct loop *loop, const struct dial_request *request,
                        void (*done)(void *ctx, struct dial_result *result), void *ctx);
void dial_cancel(struct dial *d);

#endif
