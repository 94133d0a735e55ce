/* The relay's own small HTTP server, for those who watch it: /healthz and /metrics, on an address
 * of loopback or a UNIX socket. It serves on while the relay drains. */
#ifndef NET_ADMIN_H
#define NET_ADMIN_H

#include "net/relay.h"

/* Listen on "ADDR:PORT" or "unix:PATH". Prints what is wrong. Returns 0, -EINVAL for an address
 * that is none or not on loopback, or -errno. */
int admin_open(struct relay *relay, const char *address);

/* Serve on a listening socket, which becomes ours: the same rule. */
int admin_adopt(struct relay *relay, int fd, const char *name);

/* Free those connections that have ended; at the end of each turn. */
void admin_sweep(struct relay *relay);

/* Stop, at once. */
void admin_close(struct relay *relay);

#endif
