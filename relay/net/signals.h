/* The signals that the relay acts on, as readiness of a descriptor (signalfd(2)). libuv's own
 * signals need a handler, a pipe and a lock that it cannot do without: where one of them fails, it
 * ends the process, or loses the signal. */
#ifndef NET_SIGNALS_H
#define NET_SIGNALS_H

#include "net/loop.h"

#include <signal.h>

struct signals {
        struct watch watch;
        void (*told)(struct signals *signals, int number);
};

/* From now on none of these ends the process: what comes before signals_start waits for it. Threads
 * that are started later inherit that. */
void signals_hold(void);
void signals_release(void); /* the opposite, where the relay cannot start */

/* Call told, which is set already, for each signal of wanted; the others are released. Returns 0,
 * or -errno and nothing has changed. */
int signals_start(struct signals *signals, struct loop *loop, const sigset_t *wanted);
void signals_stop(struct signals *signals, struct loop *loop);

#endif
