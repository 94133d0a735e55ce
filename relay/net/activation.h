/* Sockets that a service manager has opened for us and passed at the start (sd_listen_fds(3)):
 * LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES of the environment. */
#ifndef NET_ACTIVATION_H
#define NET_ACTIVATION_H

#include <stddef.h>

enum { ACTIVATION_MAX = 64 };

struct activation {
        struct {
                int fd;        /* the caller's */
                char name[64]; /* "" if it has none */
        } sockets[ACTIVATION_MAX];
        size_t count;
};

/* Take what was passed to this process, non-blocking and close-on-exec, and clear the variables, so
 * that no child takes it for its own. Returns 0 (count 0: nothing was passed), or -EINVAL for
 * variables that make no sense, with what is wrong in *why (static). */
int activation_take(struct activation *out, const char **why);

#endif
