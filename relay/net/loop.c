/* The event loop; see loop.h. */
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
        BATCH = 128,
        SPARES_MAX = 1024, /* timers kept for the next burst */
        BUSY_MS = 300,     /* at the end, for a thread that is nearly done */
};

static const uint32_t READER = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

struct loop {
        int epoll; /* owned */
        uv_loop_t uv;
        bool stop;
        int64_t now_us;
        struct deferred *first, **last;
        struct deferred *due; /* those of first whose turn it is */
        struct deferred *buried;
        void (*turn)(void *ctx);
        void *turn_ctx;
        struct spare *spares; /* owned */
        size_t spare_count;
};

/* A timer that may lie in wait for its next user. */
struct spare {
        uv_timer_t timer;
        struct spare *next;
};

static void read_clock(struct loop *loop)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        loop->now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* libuv's own descriptor sits in our epoll set under a NULL pointer. */
static int add_uv(struct loop *loop)
{
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

        return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, uv_backend_fd(&loop->uv), &event) < 0 ? -errno
                                                                                           : 0;
}

enum { UV_FIRST = 3 };

/* libuv ends the process (abort(3)) where it has a descriptor for its epoll set and none for the
 * pipe that guards its signals: ask for them first. */
static int init_uv(struct loop *loop)
{
        int fds[UV_FIRST], count = 0;

        while (count < UV_FIRST && (fds[count] = fcntl(loop->epoll, F_DUPFD_CLOEXEC, 0)) >= 0)
                count++;
        for (int i = 0; i < count; i++)
                close(fds[i]);
        return count == UV_FIRST ? uv_loop_init(&loop->uv) : -EMFILE;
}

struct loop *loop_new(void)
{
        struct loop *loop = calloc(1, sizeof *loop);

        if (loop == NULL)
                return NULL;
        loop->last = &loop->first;
        loop->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll < 0 || init_uv(loop) < 0 || add_uv(loop) < 0) {
                int error = errno != 0 ? errno : ENOMEM;

                if (loop->epoll >= 0)
                        close(loop->epoll);
                free(loop);
                errno = error;
                return NULL;
        }
        read_clock(loop);
        return loop;
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
        (void)ctx;
        if (!uv_is_closing(handle))
                uv_close(handle, NULL);
}

static void spare_closed(uv_handle_t *handle)
{
        free((struct spare *)((char *)handle - offsetof(struct spare, timer)));
}

uv_timer_t *loop_timer_take(struct loop *loop)
{
        struct spare *s = loop->spares;

        if (s != NULL) {
                loop->spares = s->next;
                loop->spare_count--;
                return &s->timer;
        }
        s = calloc(1, sizeof *s);
        if (s == NULL)
                return NULL;
        uv_timer_init(&loop->uv, &s->timer);
        return &s->timer;
}

void loop_timer_give(struct loop *loop, uv_timer_t *timer)
{
        struct spare *s;

        if (timer == NULL)
                return;
        s = (struct spare *)((char *)timer - offsetof(struct spare, timer));
        uv_timer_stop(timer);
        if (loop->spare_count >= SPARES_MAX) {
                uv_close((uv_handle_t *)timer, spare_closed);
                return;
        }
        s->next = loop->spares;
        loop->spares = s;
        loop->spare_count++;
}

static void run_buried(struct loop *loop)
{
        while (loop->buried != NULL) {
                struct deferred *d = loop->buried;

                loop->buried = d->next;
                d->run(d);
        }
}

/* What a thread does for us (getaddrinfo(3), a ticket) cannot be broken off. */
static bool run_out(uv_loop_t *uv)
{
        for (int ms = 0; uv_run(uv, UV_RUN_NOWAIT) != 0; ms++) {
                if (ms >= BUSY_MS)
                        return false;
                usleep(1000);
        }
        return true;
}

bool loop_free(struct loop *loop)
{
        if (loop == NULL)
                return true;
        run_buried(loop);
        while (loop->spares != NULL) {
                uv_timer_t *timer = loop_timer_take(loop);

                uv_close((uv_handle_t *)timer, spare_closed);
        }
        uv_walk(&loop->uv, close_handle, NULL);
        if (!run_out(&loop->uv))
                return false;
        uv_loop_close(&loop->uv);
        close(loop->epoll);
        free(loop);
        return true;
}

uv_loop_t *loop_uv(struct loop *loop)
{
        return &loop->uv;
}

static int add(struct loop *loop, struct watch *w, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = w};

        return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, w->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct watch *w)
{
        w->writes = true;
        return add(loop, w, READER | EPOLLOUT);
}

int loop_add_reader(struct loop *loop, struct watch *w)
{
        w->writes = false;
        return add(loop, w, READER);
}

int loop_add_level(struct loop *loop, struct watch *w)
{
        return add(loop, w, EPOLLIN);
}

void loop_want_writable(struct loop *loop, struct watch *w)
{
        struct epoll_event event = {.events = READER | EPOLLOUT, .data.ptr = w};

        if (w->fd < 0 || w->writes)
                return;
        w->writes = true;
        epoll_ctl(loop->epoll, EPOLL_CTL_MOD, w->fd, &event); /* is registered: cannot fail */
}

void loop_remove(struct loop *loop, struct watch *w)
{
        if (w->fd < 0)
                return;
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
        w->fd = -1;
}

void loop_forget(struct watch *w)
{
        w->fd = -1;
}

void loop_defer(struct loop *loop, struct deferred *d)
{
        if (d->queued)
                return;
        d->queued = true;
        d->next = NULL;
        *loop->last = d;
        loop->last = &d->next;
}

static struct deferred **find(struct deferred **at, const struct deferred *d)
{
        while (*at != NULL && *at != d)
                at = &(*at)->next;
        return at;
}

void loop_undefer(struct loop *loop, struct deferred *d)
{
        struct deferred **at = find(&loop->due, d);

        if (*at == NULL)
                at = find(&loop->first, d);
        if (*at == NULL)
                return;
        *at = d->next;
        if (loop->last == &d->next)
                loop->last = at;
        d->queued = false;
}

void loop_bury(struct loop *loop, struct deferred *d)
{
        d->next = loop->buried;
        loop->buried = d;
}

void loop_on_turn(struct loop *loop, void (*turn)(void *ctx), void *ctx)
{
        loop->turn = turn;
        loop->turn_ctx = ctx;
}

/* Run what was deferred before this turn; what these defer again waits for the next. */
static void run_deferred(struct loop *loop)
{
        loop->due = loop->first;
        loop->first = NULL;
        loop->last = &loop->first;
        while (loop->due != NULL) {
                struct deferred *d = loop->due;

                loop->due = d->next;
                d->queued = false;
                d->run(d);
        }
}

static int wait_ms(struct loop *loop)
{
        return loop->first != NULL ? 0 : uv_backend_timeout(&loop->uv);
}

void loop_run(struct loop *loop)
{
        struct epoll_event events[BATCH];

        while (!loop->stop) {
                int n = epoll_wait(loop->epoll, events, BATCH, wait_ms(loop));
                bool uv = n <= 0 || uv_backend_timeout(&loop->uv) == 0;

                read_clock(loop);
                uv_update_time(&loop->uv); /* timers that are set now count from now */
                for (int i = 0; i < n; i++) {
                        struct watch *w = events[i].data.ptr;

                        if (w == NULL)
                                uv = true;
                        else if (w->fd >= 0)
                                w->ready(w, events[i].events);
                }
                uv_update_time(&loop->uv);
                if (uv || uv_backend_timeout(&loop->uv) == 0)
                        uv_run(&loop->uv, UV_RUN_NOWAIT);
                run_deferred(loop);
                run_buried(loop);
                if (loop->turn != NULL)
                        loop->turn(loop->turn_ctx);
        }
}

void loop_stop(struct loop *loop)
{
        loop->stop = true;
}

int64_t loop_now_us(const struct loop *loop)
{
        return loop->now_us;
}
