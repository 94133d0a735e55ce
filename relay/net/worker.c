/* Threads for busy tunnels; see worker.h. */
#include "net/worker.h"
#include "net/limits.h"
#include "net/pipe.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

enum { LOOK_MS = 1000 }; /* for quiet tunnels: there are few here */

struct worker {
        struct relay *relay;
        struct loop *loop;       /* owned */
        struct pipe_pool *pipes; /* owned */
        pthread_t thread;
        unsigned load;      /* main thread: flows that are with it */
        struct watch wake;  /* its fd is owned: an eventfd */
        struct flow *flows; /* with it, open */
        struct flow *ended; /* with it, to go back at the turn's end */
        uv_timer_t look;
        pthread_mutex_t lock;
        struct flow *inbox; /* under lock, as is: */
        bool stop;
};

struct workers {
        struct worker list[WORKERS_MAX];
        unsigned count;
        struct flow *offers; /* main thread */
        struct watch wake;   /* its fd is owned: an eventfd */
        pthread_mutex_t lock;
        struct flow *returned; /* under lock */
};

struct loop *worker_loop(const struct flow *flow)
{
        return flow->worker != NULL ? flow->worker->loop : flow->relay->loop;
}

struct pipe_pool *worker_pipes(const struct flow *flow)
{
        return flow->worker != NULL ? flow->worker->pipes : flow->relay->pipes;
}

static void wake(const struct watch *w)
{
        uint64_t one = 1;

        /* EAGAIN: it has been woken often enough already. */
        if (write(w->fd, &one, sizeof one) < 0)
                return;
}

static void woken(const struct watch *w)
{
        uint64_t count;

        if (read(w->fd, &count, sizeof count) < 0)
                return;
}

static void watch_side(struct worker *w, struct side *side)
{
        int result;

        side->watch.fd = side->fd;
        result = loop_add(w->loop, &side->watch);
        if (result == 0)
                return;
        side->watch.fd = -1;
        flow_break(side->flow, -result, "epoll_ctl(2) failed");
}

static void take_in(struct worker *w, struct flow *flow)
{
        DL_APPEND2(w->flows, flow, worker_prev, worker_next);
        watch_side(w, &flow->client);
        watch_side(w, &flow->server);
        flow->again.run(&flow->again); /* it may have had more to do */
}

static void inbox_ready(struct watch *watch, uint32_t events)
{
        struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, wake));
        struct flow *inbox, *flow, *next;
        bool stop;

        (void)events;
        woken(watch);
        pthread_mutex_lock(&w->lock);
        inbox = w->inbox;
        w->inbox = NULL;
        stop = w->stop;
        pthread_mutex_unlock(&w->lock);
        DL_FOREACH_SAFE2(inbox, flow, next, worker_next)
        take_in(w, flow);
        if (stop)
                loop_stop(w->loop);
}

void worker_return(struct flow *flow, const struct flow_end *end)
{
        struct worker *w = flow->worker;

        if (flow->has_ended)
                return;
        flow->has_ended = true;
        flow->ended = *end;
        loop_remove(w->loop, &flow->client.watch);
        loop_remove(w->loop, &flow->server.watch);
        loop_undefer(w->loop, &flow->again);
        DL_DELETE2(w->flows, flow, worker_prev, worker_next);
        DL_APPEND2(w->ended, flow, worker_prev, worker_next);
}

/* The turn is over: no event of its batch can refer to them any more. */
static void worker_turn(void *ctx)
{
        struct worker *w = ctx;
        struct workers *all = w->relay->workers;

        if (w->ended == NULL)
                return;
        pthread_mutex_lock(&all->lock);
        DL_CONCAT2(all->returned, w->ended, worker_prev, worker_next);
        pthread_mutex_unlock(&all->lock);
        w->ended = NULL;
        wake(&all->wake);
}

static void look(uv_timer_t *timer)
{
        struct worker *w = timer->data;
        struct flow *flow, *next;

        DL_FOREACH_SAFE2(w->flows, flow, next, worker_next)
        limits_look(flow, loop_now_us(w->loop));
}

static void *run(void *ctx)
{
        struct worker *w = ctx;

        uv_timer_start(&w->look, look, LOOK_MS, LOOK_MS);
        loop_run(w->loop);
        return NULL;
}

static int start(struct relay *relay, struct worker *w)
{
        int result;

        w->relay = relay;
        w->loop = loop_new();
        w->pipes = pipe_pool_sibling(relay->pipes);
        w->wake =
                (struct watch){.ready = inbox_ready, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
        if (w->loop == NULL || w->pipes == NULL || w->wake.fd < 0)
                return errno != 0 ? -errno : -ENOMEM;
        pthread_mutex_init(&w->lock, NULL);
        uv_timer_init(loop_uv(w->loop), &w->look);
        w->look.data = w;
        loop_on_turn(w->loop, worker_turn, w);
        result = loop_add_level(w->loop, &w->wake);
        return result < 0 ? result : -pthread_create(&w->thread, NULL, run, w);
}

static void free_worker(struct worker *w)
{
        if (w->wake.fd >= 0)
                close(w->wake.fd);
        loop_free(w->loop);
        pipe_pool_free(w->pipes);
}

static void returned_ready(struct watch *watch, uint32_t events)
{
        (void)events;
        woken(watch); /* the turn's end looks */
}

int workers_start(struct relay *relay, unsigned count)
{
        struct workers *all = count > 0 ? calloc(1, sizeof *all) : NULL;
        sigset_t every, before;
        int result;

        if (count == 0)
                return 0;
        if (all == NULL)
                return -ENOMEM;
        relay->workers = all;
        pthread_mutex_init(&all->lock, NULL);
        all->wake = (struct watch){.ready = returned_ready,
                                   .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
        result = all->wake.fd < 0 ? -errno : loop_add_level(relay->loop, &all->wake);
        sigfillset(&every);
        pthread_sigmask(SIG_BLOCK, &every, &before);
        for (unsigned i = 0; result == 0 && i < count; i++) {
                result = start(relay, &all->list[i]);
                if (result < 0)
                        free_worker(&all->list[i]);
                else
                        all->count++;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (result < 0)
                workers_stop(relay);
        return result;
}

void worker_offer(struct flow *flow)
{
        struct workers *all = flow->relay->workers;

        if (all == NULL || flow->worker != NULL || flow->offered)
                return;
        flow->offered = true;
        DL_APPEND2(all->offers, flow, worker_prev, worker_next);
}

void worker_withdraw(struct flow *flow)
{
        if (!flow->offered)
                return;
        flow->offered = false;
        DL_DELETE2(flow->relay->workers->offers, flow, worker_prev, worker_next);
}

static struct worker *least_busy(struct workers *all)
{
        struct worker *best = &all->list[0];

        for (unsigned i = 1; i < all->count; i++)
                if (all->list[i].load < best->load)
                        best = &all->list[i];
        return best;
}

/* From here on the flow's sides are the worker's. */
static void hand_over(struct worker *w, struct flow *flow)
{
        loop_remove(flow->relay->loop, &flow->client.watch);
        loop_remove(flow->relay->loop, &flow->server.watch);
        loop_undefer(flow->relay->loop, &flow->again);
        flow->client.readable = flow->server.readable = true;
        limits_probe(flow);
        flow->worker = w;
        flow->relay->metrics.moved++;
        w->load++;
        pthread_mutex_lock(&w->lock);
        DL_APPEND2(w->inbox, flow, worker_prev, worker_next);
        pthread_mutex_unlock(&w->lock);
        wake(&w->wake);
}

static void come_back(struct flow *flow)
{
        flow->worker->load--;
        flow->worker = NULL;
}

void workers_turn(struct relay *relay)
{
        struct workers *all = relay->workers;
        struct flow *returned, *flow, *next;

        if (all == NULL)
                return;
        pthread_mutex_lock(&all->lock);
        returned = all->returned;
        all->returned = NULL;
        pthread_mutex_unlock(&all->lock);
        DL_FOREACH_SAFE2(returned, flow, next, worker_next)
        {
                come_back(flow);
                flow_close(flow, &flow->ended);
        }
        DL_FOREACH_SAFE2(all->offers, flow, next, worker_next)
        {
                worker_withdraw(flow);
                hand_over(least_busy(all), flow);
        }
}

static void take_back_all(struct flow *list)
{
        struct flow *flow, *next;

        DL_FOREACH_SAFE2(list, flow, next, worker_next)
        {
                come_back(flow);
                flow->client.watch.fd = flow->server.watch.fd = -1;
                flow->again.queued = false; /* that loop runs no more */
                if (flow->has_ended)
                        flow_close(flow, &flow->ended);
        }
}

static void stop(struct worker *w)
{
        pthread_mutex_lock(&w->lock);
        w->stop = true;
        pthread_mutex_unlock(&w->lock);
        wake(&w->wake);
        pthread_join(w->thread, NULL);
        take_back_all(w->inbox);
        take_back_all(w->flows);
        take_back_all(w->ended);
        pthread_mutex_destroy(&w->lock);
        free_worker(w);
}

void workers_stop(struct relay *relay)
{
        struct workers *all = relay->workers;

        if (all == NULL)
                return;
        for (unsigned i = 0; i < all->count; i++)
                stop(&all->list[i]);
        take_back_all(all->returned);
        while (all->offers != NULL)
                worker_withdraw(all->offers);
        if (all->wake.fd >= 0) {
                int fd = all->wake.fd;

                loop_remove(relay->loop, &all->wake);
                close(fd);
        }
        pthread_mutex_destroy(&all->lock);
        free(all);
        relay->workers = NULL;
}
