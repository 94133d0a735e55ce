/* The race of addresses over loopback: an address that never answers is a listener whose queue is
 * full. */
#include "net/race.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { FILLERS = 8 };

static struct sockaddr_storage address(const char *text, uint16_t port)
{
        struct sockaddr_storage ss;
        struct wire_addr a;

        assert_true(address_from_literal(text, port, &a));
        address_to_socket(&a, &ss);
        return ss;
}

static void test_order(void **state)
{
        static const struct {
                const char *in, *out; /* "4" and "6" with their place */
        } rows[] = {
                {"6a6b6c4d4e", "6a4d6b4e6c"},
                {"4a4b6c", "4a6c4b"},
                {"6a4b6c4d", "6a4b6c4d"},
                {"4a4b", "4a4b"},
                {"6a", "6a"},
                {"4a6b6c6d", "4a6b6c6d"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct sockaddr_storage list[RACE_MAX];
                size_t count = strlen(rows[i].in) / 2;

                memset(list, 0, sizeof list);
                for (size_t k = 0; k < count; k++)
                        list[k] = address(rows[i].in[2 * k] == '4' ? "127.0.0.1" : "::1",
                                          (uint16_t)rows[i].in[2 * k + 1]);
                race_order(list, count);
                for (size_t k = 0; k < count; k++) {
                        struct wire_addr a;

                        address_from_socket((struct sockaddr *)&list[k], &a);
                        assert_int_equal(a.port, rows[i].out[2 * k + 1]);
                }
        }
}

/* ---- with sockets ---- */

struct fixture {
        struct loop *loop;
        int good, full, fillers[FILLERS];
        uint16_t good_port, full_port, closed_port;
};

static int listen_on(const char *where, int backlog, uint16_t *port)
{
        struct sockaddr_storage ss = address(where, 0);
        socklen_t len = sizeof ss;
        struct wire_addr at;
        int fd = socket(ss.ss_family, SOCK_STREAM, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&ss, sizeof(struct sockaddr_in)), 0);
        if (backlog >= 0)
                assert_int_equal(listen(fd, backlog), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
        address_from_socket((struct sockaddr *)&ss, &at);
        *port = at.port;
        return fd;
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);
        struct sockaddr_storage full;

        f->loop = loop_new();
        f->good = listen_on("127.0.0.1", 16, &f->good_port);
        f->full = listen_on("127.0.0.2", 0, &f->full_port);
        full = address("127.0.0.2", f->full_port);
        for (size_t i = 0; i < FILLERS; i++) {
                f->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                connect(f->fillers[i], (struct sockaddr *)&full, sizeof(struct sockaddr_in));
        }
        usleep(50000);
        close(listen_on("127.0.0.3", -1, &f->closed_port));
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        loop_free(f->loop);
        for (size_t i = 0; i < FILLERS; i++)
                close(f->fillers[i]);
        close(f->good);
        close(f->full);
        free(f);
        return 0;
}

struct outcome {
        struct loop *loop;
        struct race_result result;
        struct race_try tries[RACE_MAX];
        char address[64];
        int64_t took_ms;
        bool begun, called_at_once; /* done came before race_begin() had returned */
};

static void done(void *ctx, struct race_result *result)
{
        struct outcome *o = ctx;

        o->result = *result;
        o->called_at_once = !o->begun;
        memcpy(o->tries, result->tries, result->try_count * sizeof *result->tries);
        strcpy(o->address, result->address);
        loop_stop(o->loop);
}

static bool is_own(void *ctx, const struct wire_addr *to)
{
        return to->port == *(uint16_t *)ctx;
}

static struct outcome run(struct fixture *f, struct race_setup setup)
{
        struct outcome o = {.loop = f->loop};
        int64_t start = (int64_t)(uv_hrtime() / 1000000);
        struct race *r = race_new(f->loop, &setup, done, &o);

        assert_non_null(r);
        uv_update_time(loop_uv(f->loop)); /* as the loop does before it calls anybody */
        race_begin(r);
        o.begun = true;
        loop_run(f->loop);
        o.took_ms = (int64_t)(uv_hrtime() / 1000000) - start;
        if (o.result.fd >= 0)
                close(o.result.fd);
        return o;
}

/* A loop that was stopped stays so. */
static struct outcome run_afresh(struct fixture *f, struct race_setup setup)
{
        loop_free(f->loop);
        f->loop = loop_new();
        return run(f, setup);
}

/* A black hole costs the stagger, not its time to give up. */
static void test_black_hole_first(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_storage list[] = {address("127.0.0.2", f->full_port),
                                          address("127.0.0.1", f->good_port)};
        struct outcome o =
                run(f, (struct race_setup){.addresses = list, .count = 2, .total_ms = 20000});

        assert_true(o.result.fd >= 0);
        assert_string_equal(o.address, "127.0.0.1");
        assert_int_equal(o.result.try_count, 2);
        assert_int_equal(o.tries[0].error, 0);
        assert_true(o.took_ms >= 245); /* RFC 8305 section 5 */
}

/* A refusal starts the next at once: nobody waits. */
static void test_refused_first(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_storage list[] = {address("127.0.0.3", f->closed_port),
                                          address("127.0.0.1", f->good_port),
                                          address("127.0.0.2", f->full_port)};
        struct outcome o =
                run(f, (struct race_setup){.addresses = list, .count = 3, .total_ms = 20000});

        assert_true(o.result.fd >= 0);
        assert_string_equal(o.address, "127.0.0.1");
        assert_int_equal(o.result.try_count, 2);
        assert_int_equal(o.tries[0].error, ECONNREFUSED);
        assert_int_equal(o.tries[1].error, 0);
}

static void test_all_fail(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_storage list[] = {address("127.0.0.3", f->closed_port),
                                          address("127.0.0.2", f->full_port)};
        struct outcome o =
                run(f, (struct race_setup){.addresses = list, .count = 2, .total_ms = 400});

        assert_int_equal(o.result.fd, -1);
        assert_int_equal(o.result.error, ECONNREFUSED); /* the preferred address's */
        assert_string_equal(o.address, "127.0.0.3");
        assert_int_equal(o.tries[1].error, ETIMEDOUT);
}

static void test_our_own_address(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_storage list[] = {address("127.0.0.1", f->good_port)};
        struct outcome o = run(f, (struct race_setup){.addresses = list,
                                                      .count = 1,
                                                      .total_ms = 1000,
                                                      .is_own = is_own,
                                                      .own_ctx = &f->good_port});

        assert_int_equal(o.result.fd, -1);
        assert_true(o.result.own);
}

/* A program that does not block must not see a refusal before its connect() has returned, so nobody
 * is told at once who has not asked for it. Who has is told the same. */
static void test_at_once(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_storage good[] = {address("127.0.0.1", f->good_port)};
        struct sockaddr_storage closed[] = {address("127.0.0.3", f->closed_port)};
        struct race_setup setup = {.count = 1, .total_ms = 1000};

        for (int at_once = 0; at_once < 2; at_once++) {
                struct outcome o;

                setup.at_once = at_once;
                setup.addresses = good;
                o = run_afresh(f, setup);
                assert_true(o.result.fd >= 0);
                assert_string_equal(o.address, "127.0.0.1");
                assert_true(at_once || !o.called_at_once);
                setup.addresses = closed;
                o = run_afresh(f, setup);
                assert_int_equal(o.result.fd, -1);
                assert_int_equal(o.result.error, ECONNREFUSED);
                assert_int_equal(o.tries[0].error, ECONNREFUSED);
                assert_true(at_once || !o.called_at_once);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test_setup_teardown(test_black_hole_first, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refused_first, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_all_fail, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_our_own_address, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_at_once, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
