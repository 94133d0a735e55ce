/* The relay as a child process of `tapline run`: started before the command, told to drain after
 * it. A process of its own, so that its death, even by SIGKILL, leaves the command's exit status
 * and the report intact. */
#ifndef CLI_RELAY_CHILD_H
#define CLI_RELAY_CHILD_H

#include "net/relay.h"

#include <sys/types.h>

struct relay_child {
        pid_t pid;
        int lifetime; /* owned: closing it tells the relay to drain */
        uint16_t port;
};

/* Fork and wait until the relay serves. options->lifetime_fd and ready_fd are set here. Returns 0,
 * or -errno (the child has said why). */
int relay_child_start(struct relay_child *child, struct relay_options *options);

/* Drain and reap. Returns true if it ended in order, false if it was lost. Waits at most drain_ms
 * and a little, then kills it. */
bool relay_child_stop(struct relay_child *child, int drain_ms);

#endif
