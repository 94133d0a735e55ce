/* Threads that move the bytes of busy tunnels, each with a loop of its own. A tunnel in which much
 * moves is handed to one of them and comes back when it has ended; everything else (new
 * connections, dials, heads, TLS, tables, events) stays with the main loop, so that nothing of it
 * needs a lock. The queues that lead there and back have one each. While flow->worker is set, the
 * flow's sides belong to that thread. */
#ifndef NET_WORKER_H
#define NET_WORKER_H

#include "net/flow.h"

enum { WORKERS_MAX = 64 };

/* Start count threads. Returns 0 or -errno. Signals stay with the calling thread. */
int workers_start(struct relay *relay, unsigned count);

/* Main thread, at the end of a turn: take back what has ended, hand over what was offered. */
void workers_turn(struct relay *relay);

/* Main thread: stop the threads; the flows that they had are the main loop's again, watched by
 * nobody. */
void workers_stop(struct relay *relay);

/* Main thread: much moves in this tunnel. Hands it over at the turn's end, if there are workers. */
void worker_offer(struct flow *flow);

/* Main thread: it has ended before that. */
void worker_withdraw(struct flow *flow);

/* The thread of flow->worker: it has ended, and is to be closed with this by the main thread. */
void worker_return(struct flow *flow, const struct flow_end *end);

/* The loop and the pipes of the thread that moves this flow's bytes. */
struct loop *worker_loop(const struct flow *flow);
struct pipe_pool *worker_pipes(const struct flow *flow);

#endif
