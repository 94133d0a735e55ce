/* A timer that is set after the loop was idle counts from then. The story: libuv reads its clock
 * once per turn, and the turn's began when the loop fell asleep; limits of 30 s were over at once
 * after 30 idle seconds. */
#include "net/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <cmocka.h>

enum { IDLE_MS = 300, LIMIT_MS = 200 };

struct fixture {
        struct loop *loop;
        struct watch watch;
        uv_timer_t timer;
        uv_signal_t busy; /* as the relay has: without a handle the loop would not sleep */
        uint64_t set_ns, fired_ns;
};

static void fired(uv_timer_t *timer)
{
        struct fixture *f = timer->data;

        f->fired_ns = uv_hrtime();
        loop_stop(f->loop);
}

static void woken(struct watch *w, uint32_t events)
{
        struct fixture *f = (struct fixture *)((char *)w - offsetof(struct fixture, watch));

        (void)events;
        if (f->set_ns != 0)
                return;
        f->set_ns = uv_hrtime();
        uv_timer_start(&f->timer, fired, LIMIT_MS, 0);
}

static void signalled(uv_signal_t *handle, int number)
{
        (void)handle;
        (void)number;
}

static void test_timer_after_idling(void **state)
{
        struct itimerspec later = {.it_value = {.tv_nsec = IDLE_MS * 1000000L}};
        struct fixture f = {.loop = loop_new()};
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

        (void)state;
        assert_int_equal(timerfd_settime(fd, 0, &later, NULL), 0);
        f.watch = (struct watch){.ready = woken, .fd = fd};
        assert_int_equal(loop_add_level(f.loop, &f.watch), 0);
        uv_timer_init(loop_uv(f.loop), &f.timer);
        f.timer.data = &f;
        uv_signal_init(loop_uv(f.loop), &f.busy);
        uv_signal_start(&f.busy, signalled, SIGUSR2);
        loop_run(f.loop);
        assert_true(f.fired_ns - f.set_ns >= (LIMIT_MS - 5) * UINT64_C(1000000));
        loop_remove(f.loop, &f.watch);
        close(fd);
        loop_free(f.loop);
}

/* What one of them takes back runs no more, though its turn has come. The story: the relay stops in
 * such a call, and frees its listeners, one of which has put off its own. */
struct call {
        struct deferred d;
        struct loop *loop;
        struct call *takes_back;
        unsigned runs;
};

static void called(struct deferred *d)
{
        struct call *c = (struct call *)((char *)d - offsetof(struct call, d));

        c->runs++;
        if (c->takes_back != NULL)
                loop_undefer(c->loop, &c->takes_back->d);
        loop_stop(c->loop);
}

static void test_taken_back_in_its_turn(void **state)
{
        struct loop *loop = loop_new();
        struct call calls[3];

        (void)state;
        for (size_t i = 0; i < 3; i++)
                calls[i] = (struct call){.d = {.run = called}, .loop = loop};
        calls[0].takes_back = &calls[1];
        for (size_t i = 0; i < 3; i++)
                loop_defer(loop, &calls[i].d);
        loop_run(loop);
        assert_int_equal(calls[0].runs, 1);
        assert_int_equal(calls[1].runs, 0);
        assert_int_equal(calls[2].runs, 1);
        assert_false(calls[1].d.queued);
        loop_free(loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_timer_after_idling),
                                           cmocka_unit_test(test_taken_back_in_its_turn)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
