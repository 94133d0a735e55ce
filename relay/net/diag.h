/* What the kernel knows of a TCP socket of this machine, of whatever process: sock_diag(7). */
#ifndef NET_DIAG_H
#define NET_DIAG_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <sys/types.h>

struct diag_socket {
        int state; /* TCP_* of netinet/tcp.h */
        uid_t uid;
        bool open; /* a process holds it; if not, only the kernel still does */
};

/* Returns a descriptor for questions, now the caller's, or -errno. */
int diag_open(void);

/* Look up the socket local -> remote; cookie: SO_COOKIE, 0 for any. Returns 0, -ENOENT if there is
 * none, -ESTALE if there is one with another cookie, or -errno. Does not block. */
int diag_ask(int diag, const struct wire_addr *local, const struct wire_addr *remote,
             uint64_t cookie, struct diag_socket *out);

#endif
