/* Takes a connect() to the relay. Decides (redirect_plan), asks the relay, joins the program's own
 * descriptor to it (redirect_connect), and answers later questions about such a descriptor. No
 * table of descriptors: what a descriptor is, the kernel and the relay know. */
#ifndef PRELOAD_REDIRECT_H
#define PRELOAD_REDIRECT_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <sys/socket.h>

enum redirect { PASS, REDIRECT };

struct plan {
        struct wire_addr to, local; /* local: what it is bound to, or all zero */
        uint64_t cookie;
        int family;    /* of the descriptor: AF_INET or AF_INET6 */
        bool by_v6;    /* it can reach ::1 only */
        bool nonblock; /* the descriptor's flag */
        bool waits;    /* the call is to wait: not nonblock, and not told otherwise */
};

/* REDIRECT: go to the relay, *plan is filled in. PASS: the kernel's answer is the right one. */
enum redirect redirect_plan(int fd, const struct sockaddr *to, socklen_t len, struct plan *plan);

/* connect(2) by way of the relay: returns and sets errno as the real call would for plan->to. */
int redirect_connect(int fd, const struct plan *plan, const struct sockaddr *to, socklen_t len);

/* What went wrong in truth: the relay can refuse a descriptor that waits for it only with a reset.
 * Given the errno that the kernel reported for fd, returns the upstream's. Asks only on ECONNRESET.
 */
int redirect_true_error(int fd, int error);

/* A call on fd has failed: put errno right. */
__attribute__((cold, noinline)) void redirect_failed(int fd);

/* The original destination of a descriptor that is connected to peer. Returns false if peer is not
 * the relay; cheap (no message) where it cannot be. */
bool redirect_peer(int fd, const struct sockaddr *peer, socklen_t len, struct wire_addr *out);

/* The own address of a descriptor whose kernel says that it is local: what it would be without the
 * relay. Returns false if the relay has nothing to do with it. */
bool redirect_own(int fd, const struct sockaddr *local, socklen_t len, struct wire_addr *out);

#endif
