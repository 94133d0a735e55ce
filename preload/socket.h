/* What a socket is, asked of the kernel by raw calls: addresses in the wire form, options, state.
 * No table of descriptors anywhere. errno is not touched. */
#ifndef PRELOAD_SOCKET_H
#define PRELOAD_SOCKET_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <sys/socket.h>

/* Copy a socket address to the wire form; v4-mapped becomes IPv4. Returns false for other families.
 */
bool socket_to_wire(const struct sockaddr *from, socklen_t len, struct wire_addr *out);

/* The descriptor's own address. Returns false if it has none (then *out is all zero). */
bool socket_local(int fd, struct wire_addr *out);

/* The same for the address at the other end. Returns false if it is not connected. */
bool socket_peer(int fd, struct wire_addr *out);

bool socket_is_loopback(const struct wire_addr *a); /* or "any", which the kernel takes for it */
bool socket_is_any(const struct wire_addr *a);

/* An integer option, or -1. */
int socket_option(int fd, int level, int name);

/* Which socket this is, whatever descriptor it goes by in whatever process; 0: the kernel does not
 * say. */
uint64_t socket_cookie(int fd);

/* AF_INET or AF_INET6 for TCP, AF_UNSPEC for all else. */
int socket_tcp_family(int fd);
bool socket_is_tcp(int fd);

/* A TCP socket on which the kernel would begin a connection now: not connected or connecting, not
 * listening, and with no failure that connect(2) has yet to report. */
bool socket_is_fresh(int fd);

#endif
