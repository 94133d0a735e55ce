/* The event loop: one per thread. Sockets are registered once, edge-triggered (epoll(7)): for
 * reading, and from the first write that would block also for writing. A busy connection makes no
 * further epoll_ctl calls, and one that never blocks is not woken to be told that it may write.
 * libuv is embedded for what is not a socket of ours: timers, and getaddrinfo in its thread pool.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Something with a descriptor. Embedded in its owner, which must live until the turn's end after
 * loop_remove: the kernel may have reported an event in the same batch. */
struct watch {
        void (*ready)(struct watch *w, uint32_t events); /* EPOLL* bits */
        int fd;                                          /* borrowed; -1 when not registered */
        bool writes;                                     /* registered for writing too */
};

/* Work to be done at the end of the turn, or in the next one without waiting. Embedded; zero it
 * first. */
struct deferred {
        void (*run)(struct deferred *d);
        struct deferred *next;
        bool queued;
};

struct loop;

/* Returns NULL with errno. Caller owns. */
struct loop *loop_new(void);
/* Returns false if one of libuv's threads is still busy for it and does not end soon: then the loop
 * stays, with all that the thread may use. */
bool loop_free(struct loop *loop);

uv_loop_t *loop_uv(struct loop *loop); /* borrowed */

/* Register w for all events on w->fd, edge-triggered (reader: all but that it is writable; level:
 * once more each turn while readable, for listeners). Returns 0 or -errno. */
int loop_add(struct loop *loop, struct watch *w);
int loop_add_reader(struct loop *loop, struct watch *w);
int loop_add_level(struct loop *loop, struct watch *w);
/* A write has blocked, or soon will: from now on w is also told that it is writable, for the first
 * time at once if it is. Cheap if w has been told so before or is not registered. */
void loop_want_writable(struct loop *loop, struct watch *w);
void loop_remove(struct loop *loop, struct watch *w); /* w->fd becomes -1; not closed */
/* The same for a descriptor that nobody else has and that is closed at once: the kernel takes it
 * out by itself (epoll(7)). */
void loop_forget(struct watch *w);

/* A stopped timer, the caller's until it is given back. Giving it back stops it and costs less than
 * uv_close(), which makes the loop look at everything. NULL when out of memory. */
uv_timer_t *loop_timer_take(struct loop *loop);
void loop_timer_give(struct loop *loop, uv_timer_t *timer); /* NULL allowed */

/* Run d once, after the events of this turn. Adding a queued one again does nothing. */
void loop_defer(struct loop *loop, struct deferred *d);

/* Take it back, if it has not run. */
void loop_undefer(struct loop *loop, struct deferred *d);

/* Run d when this turn is over, without beginning another one for it: to free memory which events
 * of this turn may still refer to. */
void loop_bury(struct loop *loop, struct deferred *d);

/* Called at the end of every turn (to sweep and to flush). */
void loop_on_turn(struct loop *loop, void (*turn)(void *ctx), void *ctx);

/* Run until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Microseconds of the monotonic clock, read once per turn. */
int64_t loop_now_us(const struct loop *loop);

#endif
