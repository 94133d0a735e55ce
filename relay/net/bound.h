/* Making listening sockets: addresses from text, UNIX sockets, and sockets that exist already. */
#ifndef NET_BOUND_H
#define NET_BOUND_H

#include <stdbool.h>
#include <stdint.h>

struct bound {
        bool is_unix, is_loopback;
        uint16_t port;
        const char *path; /* borrowed from the text: a UNIX socket that was made here; or NULL */
};

/* Listen on "ADDR:PORT", "[V6]:PORT", "localhost:PORT" or "unix:PATH". Returns the descriptor
 * (non-blocking, close-on-exec, the caller's), -EINVAL for text that is none of these, or -errno.
 */
int bound_open(const char *text, struct bound *out);

/* What to do when listening failed with this errno, as the end of a message: "; ...", or "". */
const char *bound_hint(int error);

/* Listen on loopback of this family, on out->port or (0) on one that the kernel chooses. */
int bound_loopback(int family, struct bound *out);

/* Listen for packets (SOCK_SEQPACKET) of this user's at path. Returns the descriptor (non-blocking,
 * close-on-exec, the caller's) or -errno. */
int bound_packets(const char *path, int backlog);

/* What an open descriptor is: fills out and returns 0 for a listening stream socket of the Internet
 * or UNIX families, else -EINVAL. */
int bound_adopt(int fd, struct bound *out);

#endif
