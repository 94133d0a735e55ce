/* The race of addresses; see race.h. */
#include "net/race.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
        STAGGER_MS = 250,   /* RFC 8305 section 5, the recommended value */
        ADDRESS_MS = 30000, /* for one address where there are others; Linux itself gives a SYN 67
                               to 130 s, and has the errno to tell */
};

struct attempt {
        struct race *race;  /* borrowed */
        struct watch watch; /* its fd is owned */
        int64_t started_us;
};

struct race {
        struct loop *loop; /* borrowed */
        uv_timer_t *timer; /* owned; from the loop's spares */
        struct deferred grave;
        bool over;
        struct sockaddr_storage addresses[RACE_MAX];
        size_t count, begun, failed;
        struct attempt attempts[RACE_MAX];
        struct race_try tries[RACE_MAX];
        struct dial_manner manner;
        bool has_manner, own, at_once;
        bool (*is_own)(void *ctx, const struct wire_addr *to);
        void *own_ctx;
        unsigned total_ms;
        int64_t started_us;
        void (*done)(void *ctx, struct race_result *result);
        void *ctx;
};

void race_order(struct sockaddr_storage *addresses, size_t count)
{
        for (size_t i = 1; i < count; i++) {
                size_t k = i;
                struct sockaddr_storage moved;

                while (k < count && addresses[k].ss_family == addresses[i - 1].ss_family)
                        k++;
                if (k == count)
                        return;
                moved = addresses[k];
                memmove(addresses + i + 1, addresses + i, (k - i) * sizeof *addresses);
                addresses[i] = moved;
        }
}

static void bury(struct deferred *d)
{
        free((char *)d - offsetof(struct race, grave));
}

static int64_t now_us(void)
{
        return (int64_t)(uv_hrtime() / 1000);
}

static void drop(struct attempt *a)
{
        int fd = a->watch.fd;

        if (fd < 0)
                return;
        loop_remove(a->race->loop, &a->watch);
        close(fd);
}

static void wind_up(struct race *r)
{
        r->over = true;
        for (size_t i = 0; i < r->begun; i++)
                drop(&r->attempts[i]);
        loop_timer_give(r->loop, r->timer);
        r->grave.run = bury;
        loop_bury(r->loop, &r->grave);
}

void race_cancel(struct race *r)
{
        wind_up(r);
}

static void finish(struct race *r, struct race_result *result)
{
        result->own = r->own;
        result->tries = r->tries;
        result->try_count = r->begun;
        wind_up(r);
        r->done(r->ctx, result);
}

/* The later addresses are fallbacks, often of a family that this machine cannot reach at all. */
static void lose(struct race *r)
{
        struct race_result result = {.fd = -1};
        size_t told = 0;

        while (told + 1 < r->begun &&
               (r->tries[told].error == ENETUNREACH || r->tries[told].error == EADDRNOTAVAIL))
                told++;
        if (r->tries[told].error == ENETUNREACH || r->tries[told].error == EADDRNOTAVAIL)
                told = 0;
        result.error = r->tries[told].error;
        result.address = r->tries[told].address;
        finish(r, &result);
}

static void win(struct race *r, struct attempt *a, int fd)
{
        struct race_result result = {.fd = fd, .address = r->tries[a - r->attempts].address};

        finish(r, &result);
}

static void go_on(struct race *r);

static void attempt_failed(struct attempt *a, int error)
{
        struct race *r = a->race;

        drop(a);
        r->tries[a - r->attempts].error = error;
        r->failed++;
}

static void ready(struct watch *w, uint32_t events)
{
        struct attempt *a = (struct attempt *)((char *)w - offsetof(struct attempt, watch));
        struct race *r = a->race;
        int error = 0;
        socklen_t len = sizeof error;

        if (r->over || w->fd < 0)
                return;
        if ((events & (EPOLLERR | EPOLLHUP)) != 0 &&
            getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                error = errno;
        if (error != 0) {
                attempt_failed(a, error);
                go_on(r);
        } else if ((events & EPOLLOUT) != 0) {
                int fd = w->fd;

                loop_remove(r->loop, w);
                win(r, a, fd);
        }
}

/* Returns 0 when connected, EINPROGRESS, or another errno. What this machine itself answers is
 * there before the first connect(2) returns, which does not look; to ask again costs less than a
 * turn. */
static int connect_to(int fd, const struct sockaddr_storage *to, bool at_once)
{
        socklen_t len =
                to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

        if (connect(fd, (const struct sockaddr *)to, len) == 0)
                return 0;
        if (errno != EINPROGRESS || !at_once)
                return errno;
        if (connect(fd, (const struct sockaddr *)to, len) == 0)
                return 0;
        return errno == EALREADY ? EINPROGRESS : errno;
}

/* The same with a socket, *fd, which is -1 after a failure. */
static int begin_connect(struct race *r, const struct sockaddr_storage *to, int *fd)
{
        int error = 0;

        *fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (*fd < 0)
                return errno;
        if (r->has_manner)
                error = dial_manner_apply(&r->manner, *fd, to->ss_family);
        if (error == 0)
                error = connect_to(*fd, to, r->at_once);
        if (error == 0 || error == EINPROGRESS)
                return error;
        close(*fd);
        *fd = -1;
        return error;
}

static int watch_attempt(struct attempt *a, int fd)
{
        int error;

        a->watch = (struct watch){.ready = ready, .fd = fd};
        error = -loop_add(a->race->loop, &a->watch);
        if (error == 0)
                return 0;
        a->watch.fd = -1;
        close(fd);
        return error;
}

static void begin_attempt(struct race *r)
{
        struct attempt *a = &r->attempts[r->begun];
        const struct sockaddr_storage *to = &r->addresses[r->begun];
        struct wire_addr shown;
        int fd, error;

        a->race = r;
        a->watch.fd = -1;
        a->started_us = now_us();
        address_from_socket((const struct sockaddr *)to, &shown);
        address_literal(&shown, r->tries[r->begun++].address);
        if (r->is_own != NULL && r->is_own(r->own_ctx, &shown)) {
                r->own = true;
                error = ECONNREFUSED;
        } else {
                error = begin_connect(r, to, &fd);
                if (error == 0) {
                        win(r, a, fd);
                        return;
                }
                if (error == EINPROGRESS)
                        error = watch_attempt(a, fd);
        }
        if (error != 0)
                attempt_failed(a, error);
}

static void timed_out(uv_timer_t *timer)
{
        struct race *r = timer->data;
        int64_t now = now_us();
        bool late = now - r->started_us >= (int64_t)r->total_ms * 1000;

        if (r->over)
                return;
        for (size_t i = 0; i < r->begun; i++) {
                int64_t age_us = now - r->attempts[i].started_us;

                if (r->attempts[i].watch.fd >= 0 &&
                    (late || (r->count > 1 && age_us >= (int64_t)ADDRESS_MS * 1000)))
                        attempt_failed(&r->attempts[i], ETIMEDOUT);
        }
        if (late && r->failed == r->begun)
                lose(r);
        else if (r->begun < r->count && r->failed < r->begun)
                begin_attempt(r);
        if (!r->over)
                go_on(r);
}

/* Begin what is due now, and say when to look again. */
static void go_on(struct race *r)
{
        int64_t left_ms = (int64_t)r->total_ms - (now_us() - r->started_us) / 1000;

        while (!r->over && r->failed == r->begun && r->begun < r->count)
                begin_attempt(r);
        if (r->over)
                return;
        if (r->failed == r->begun) {
                lose(r);
                return;
        }
        if (r->begun < r->count && left_ms > STAGGER_MS)
                left_ms = STAGGER_MS;
        else if (r->count > 1 && left_ms > ADDRESS_MS / 10)
                left_ms = ADDRESS_MS / 10;
        uv_timer_start(r->timer, timed_out, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

void race_begin(struct race *r)
{
        r->started_us = now_us();
        go_on(r);
}

struct race *race_new(struct loop *loop, const struct race_setup *setup,
                      void (*done)(void *ctx, struct race_result *result), void *ctx)
{
        struct race *r = calloc(1, sizeof *r);

        if (r == NULL)
                return NULL;
        r->timer = loop_timer_take(loop);
        if (r->timer == NULL) {
                free(r);
                return NULL;
        }
        r->timer->data = r;
        r->loop = loop;
        r->count = setup->count < RACE_MAX ? setup->count : RACE_MAX;
        memcpy(r->addresses, setup->addresses, r->count * sizeof *r->addresses);
        race_order(r->addresses, r->count);
        r->has_manner = setup->manner != NULL;
        if (r->has_manner)
                r->manner = *setup->manner;
        r->is_own = setup->is_own;
        r->own_ctx = setup->own_ctx;
        r->total_ms = setup->total_ms;
        r->at_once = setup->at_once;
        r->done = done;
        r->ctx = ctx;
        return r;
}
