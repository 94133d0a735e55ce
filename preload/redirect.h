/* Takes a connect() to the relay. Decides (redirect_plan), asks the relay, joins the program's own
 * descriptor to it (redirect_connect), and answers later questions about such a descriptor. No
 * table of descriptors: what a descriptor is, the kernel and the relay know. */
#ifndef PRELOAD_REDIRECT_H
#define PRELOAD_REDIRECT_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <sys/socket.h>

enum redirect { PASS, REDIRECT, JOINED };

struct plan {
        struct wire_addr to;
        int family;    /* of the descriptor: AF_INET or AF_INET6 */
        bool v6only;   /* it can reach ::1 only */
        bool nonblock;
};

/* REDIRECT: go to the relay, *plan is filled in. JOINED: the descriptor is connected to the relay
 * already. PASS: none of our business. errno may change. */
enum redirect redirect_plan(int fd, const struct sockaddr *to, socklen_t len, struct plan *plan);

/* connect(2) by way of the relay: returns and sets errno as the real call would for plan->to. */
int redirect_connect(int fd, const struct plan *plan, const struct sockaddr *to, socklen_t len);

/* A second connect() on a descriptor that is joined: EALREADY, 0, EISCONN or the failure. */
int redirect_again(int fd, const struct sockaddr *to, socklen_t len);

/* Ask the relay about a descriptor. peer is the kernel's answer to getpeername, or NULL if there is
 * none. Returns true if the descriptor belongs to a flow; *verdict then tells its state and original
 * destination. Cheap (no message) for descriptors that do not lead to the relay. */
bool redirect_query(int fd, const struct sockaddr *peer, struct wire_verdict *verdict);

/* The connection has come through: take back what held writability down. */
void redirect_settled(int fd);

/* The mark that held-back descriptors bear in TCP_NOTSENT_LOWAT. */
enum { REDIRECT_LOWAT = 1 };

#endif
