/* preload/ring.c: what several threads write at the same time is read whole, each thread's in its
 * order, also where positions pass 2^32; what finds no room takes the other way. */
#include "../../preload/ring.c"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { THREADS = 4, MESSAGES = 20000, LONGEST = 300 };

/* ---- stand-ins for control.c, and for the relay ---- */

static _Atomic int aside, bells; /* messages that took the other way; rings of the bell */
static _Atomic int64_t clock_ms = 1;

static _Atomic int asked, told_meanwhile; /* for a ring; messages told while the relay thinks */

static void tell(int thread, int number, size_t len);

/* There is no answer. */
int control_open(void)
{
        atomic_fetch_add(&asked, 1);
        for (int n = told_meanwhile; n > 0; n--)
                tell(1, n, 0);
        return -ECONNREFUSED;
}

void control_close(int fd)
{
        (void)fd;
}

int control_send(int fd, enum wire_type type, struct wire_head *head, size_t len)
{
        (void)fd, (void)type, (void)head, (void)len;
        return 0;
}

int control_report(enum wire_type type, struct wire_head *head, size_t len)
{
        assert_int_equal(type, WIRE_BELL);
        assert_int_equal(len, sizeof *head);
        atomic_fetch_add(&bells, 1);
        return 0;
}

void control_complete(enum wire_type type, struct iovec *parts, size_t count)
{
        struct wire_head *head = parts[0].iov_base;

        head->type = (uint8_t)type;
        head->len = 0;
        for (size_t i = 0; i < count; i++)
                head->len += (uint32_t)parts[i].iov_len;
}

int control_report_parts(enum wire_type type, struct iovec *parts, size_t count)
{
        (void)type, (void)parts, (void)count;
        atomic_fetch_add(&aside, 1);
        return 0;
}

void control_note_absent(int error)
{
        (void)error;
}

int64_t control_now_ms(void)
{
        return atomic_load(&clock_ms);
}

/* A ring with its positions just before 2^32, for this process. */
static struct ring *fresh(void)
{
        static struct ring r;

        memset(&r, 0, sizeof r);
        r.written = r.read = (uint32_t)-4096;
        atomic_store(&ring, &r);
        atomic_store(&owner, (pid_t)getpid());
        atomic_store(&locked, false);
        aside = bells = 0;
        return &r;
}

/* The relay's part, in small: returns the length of the next packet, 0 if there is none. */
static uint32_t take_out(struct ring *r, unsigned char *packet)
{
        struct ring_slot slot;
        uint32_t at = r->read;

        if (at == atomic_load(&r->written))
                return 0;
        ring_copy_out(r, at, &slot, sizeof slot);
        ring_copy_out(r, at + (uint32_t)sizeof slot, packet, slot.len);
        atomic_store(&r->read, at + ring_slot_size(slot.len));
        return slot.len;
}

static void tell(int thread, int number, size_t len)
{
        struct wire_head head = {.tid = thread, .seq = (uint32_t)number};
        char text[LONGEST];
        struct iovec parts[2] = {{&head, sizeof head}, {text, len}};

        memset(text, number & 0xff, len);
        ring_report_parts(WIRE_TAP, parts, len > 0 ? 2 : 1, false);
}

/* ---- the tests ---- */

static void *tell_many(void *thread)
{
        for (int n = 0; n < MESSAGES; n++) {
                int before;

                do { /* until it has gone through the ring */
                        before = atomic_load(&aside);
                        tell((int)(intptr_t)thread, n, (size_t)(n % LONGEST));
                        if (atomic_load(&aside) != before)
                                sched_yield();
                } while (atomic_load(&aside) != before);
        }
        return NULL;
}

static void test_one_thread(void **state)
{
        _Alignas(8) unsigned char packet[4096];
        struct ring *r = fresh();
        const struct wire_head *head = (const struct wire_head *)packet;

        (void)state;
        for (int n = 0; n < 100000; n++) {
                tell(1, n, (size_t)(n % LONGEST));
                assert_int_equal(take_out(r, packet), sizeof *head + (size_t)(n % LONGEST));
                assert_int_equal(head->seq, n);
        }
        assert_int_equal(aside, 0);
        assert_true(r->read < (uint32_t)-4096); /* gone round */
}

/* Others of a thread's messages may be told twice (tell_many() cannot know whose it was that went
 * aside), but none is lost, cut or out of order. */
static void test_threads(void **state)
{
        _Alignas(8) unsigned char packet[4096];
        struct ring *r = fresh();
        const struct wire_head *head = (const struct wire_head *)packet;
        pthread_t threads[THREADS];
        int next[THREADS] = {0}, done = 0;

        (void)state;
        for (intptr_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, tell_many, (void *)i), 0);
        while (done < THREADS) {
                uint32_t len = take_out(r, packet);
                int n = (int)head->seq, *expected;

                if (len == 0) {
                        sched_yield();
                        continue;
                }
                assert_true(head->tid >= 0 && head->tid < THREADS);
                expected = &next[head->tid];
                assert_true(n == *expected || n == *expected - 1);
                assert_int_equal(len, sizeof *head + (size_t)(n % LONGEST));
                for (uint32_t i = sizeof *head; i < len; i++)
                        assert_int_equal(packet[i], n & 0xff);
                if (n < *expected)
                        continue;
                *expected = n + 1;
                done += n + 1 == MESSAGES;
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
}

static void test_empty_part(void **state)
{
        _Alignas(8) unsigned char packet[4096];
        struct ring *r = fresh();
        struct wire_head head = {0};
        char text[] = "end";
        struct iovec parts[3] = {{&head, sizeof head}, {NULL, 0}, {text, 3}};

        (void)state;
        ring_report_parts(WIRE_TAP, parts, 3, false);
        assert_int_equal(take_out(r, packet), sizeof head + 3);
        assert_memory_equal(packet + sizeof head, text, 3);
}

static void test_full(void **state)
{
        struct ring *r = fresh();
        int count = 0;

        (void)state;
        for (; aside == 0; count++)
                tell(1, count, 200);
        assert_int_equal(count - 1, RING_DATA / ring_slot_size(200 + sizeof(struct wire_head)));
        assert_true(r->written - r->read <= RING_DATA);
}

static void test_bell_only_for_one_asleep(void **state)
{
        struct ring *r = fresh();

        (void)state;
        tell(1, 1, 0);
        assert_int_equal(bells, 0);
        r->state = RING_ASLEEP;
        tell(1, 2, 0);
        assert_int_equal(bells, 1);
}

static void test_closed(void **state)
{
        struct ring *r = fresh();

        (void)state;
        r->state = RING_CLOSED;
        tell(1, 1, 0);
        assert_int_equal(aside, 1);
        assert_int_equal(r->written, r->read);
        assert_null(ring);
}

static void test_nobody_reads(void **state)
{
        struct ring *r = fresh();

        (void)state;
        tell(1, 1, 0);
        tell(1, 2, 0);
        clock_ms += RING_DEAD_MS;
        tell(1, 3, 0);
        assert_int_equal(aside, 0);
        clock_ms += 1;
        tell(1, 4, 0);
        assert_int_equal(aside, 1);
        assert_null(ring);
        assert_int_equal(r->written - r->read, 3 * ring_slot_size(sizeof(struct wire_head)));
}

/* A pause in which nothing was told is no sign of death. */
static void test_pause(void **state)
{
        _Alignas(8) unsigned char packet[4096];
        struct ring *r = fresh();

        (void)state;
        for (int n = 0; n < 5; n++) {
                tell(1, n, 0);
                assert_true(take_out(r, packet) > 0);
                clock_ms += 10L * RING_DEAD_MS;
        }
        tell(1, 5, 0);
        tell(1, 6, 0);
        assert_int_equal(aside, 0);
}

/* In the middle of another message, which is in the parent's memory then, or below a handler. */
static void test_locked(void **state)
{
        struct ring *r = fresh();

        (void)state;
        atomic_store(&locked, true);
        tell(1, 1, 0);
        assert_int_equal(aside, 1);
        assert_int_equal(r->written, r->read);
        atomic_store(&owner, (pid_t)getpid() + 1);
        tell(1, 2, 0);
        assert_false(locked);
}

static void test_another_process(void **state)
{
        fresh();
        (void)state;
        atomic_store(&owner, (pid_t)getpid() + 1); /* as after fork(2) */
        tell(1, 1, 0);
        assert_int_equal(aside, 1);
        assert_null(ring);
}

static void test_not_later(void **state)
{
        struct wire_head head = {0};
        struct iovec part = {&head, sizeof head};

        fresh();
        (void)state;
        ring_report_parts(WIRE_TAP, &part, 1, true);
        assert_int_equal(aside, 1);
}

/* What others tell while one thread asks made a second of them ask: two rings in one process. */
static void test_one_asks(void **state)
{
        fresh();
        (void)state;
        atomic_store(&ring, NULL);
        atomic_store(&told, 0);
        atomic_store(&tries, 0);
        asked = 0;
        told_meanwhile = 5 * RING_AFTER;
        for (int n = 1; n <= RING_AFTER; n++) {
                assert_int_equal(asked, 0);
                tell(1, n, 0);
        }
        assert_int_equal(asked, 1);
        told_meanwhile = 0;
        for (int n = 1; n <= 2 * RING_AFTER; n++) {
                assert_int_equal(asked, 1);
                tell(1, n, 0);
        }
        assert_int_equal(asked, 2);
        assert_int_equal(aside, (1 + 5 + 2) * RING_AFTER);
        assert_false(asking);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_thread),
                cmocka_unit_test(test_threads),
                cmocka_unit_test(test_empty_part),
                cmocka_unit_test(test_full),
                cmocka_unit_test(test_bell_only_for_one_asleep),
                cmocka_unit_test(test_closed),
                cmocka_unit_test(test_nobody_reads),
                cmocka_unit_test(test_pause),
                cmocka_unit_test(test_locked),
                cmocka_unit_test(test_another_process),
                cmocka_unit_test(test_not_later),
                cmocka_unit_test(test_one_asks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
