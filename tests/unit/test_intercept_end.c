/* How every kind of end crosses the intercept: half-close, truncation, reset, from either side. */
#include "tls_scripts.h"

/* For what another thread's end of a connection has got. */
static void wait_for(const volatile size_t *got)
{
        for (int ms = 0; *got == 0 && ms < 10000; ms++)
                usleep(1000);
}

static void client_half_closes(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        send_text(ssl, request);
        SSL_shutdown(ssl);
        shutdown(fd, SHUT_WR);
        got_down = receive_pattern(ssl, BULK_DOWN);
        clean = ended_cleanly(ssl);
}

static void origin_answers_half_close(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        got_up = receive_text(ssl, request) && ended_cleanly(ssl);
        usleep(20000);
        send_pattern(ssl, BULK_DOWN);
        SSL_shutdown(ssl);
}

static void test_half_close(void **state)
{
        struct lab *lab = *state;

        lab->client = client_half_closes;
        lab->origin = origin_answers_half_close;
        for (lab->max_version = TLS1_2_VERSION; lab->max_version <= TLS1_3_VERSION;
             lab->max_version++) {
                lab_run(lab);
                assert_int_equal(lab->result, INTERCEPT_CLOSED);
                assert_true(got_up && clean);
                assert_int_equal(got_down, BULK_DOWN);
                assert_string_equal(lab->end.first, "client");
        }
}

/* Half-closed without close_notify: the origin must see just that, and may still answer. */
static void client_half_closes_rudely(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        send_text(ssl, request);
        shutdown(fd, SHUT_WR);
        got_down = receive_pattern(ssl, 1000);
}

static void origin_sees_truncation(struct lab *lab, SSL *ssl, int fd)
{
        char byte[1];

        (void)lab;
        got_up = receive_text(ssl, request);
        clean = recv(fd, byte, 1, MSG_WAITALL) != 0; /* FIN and no close_notify before it */
        send_pattern(ssl, 1000);
        SSL_shutdown(ssl);
}

static void test_rude_half_close(void **state)
{
        struct lab *lab = *state;

        lab->client = client_half_closes_rudely;
        lab->origin = origin_sees_truncation;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up);
        assert_false(clean);
        assert_int_equal(got_down, 1000);
}

static const char cut_response[] = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";

static void client_gets_cut(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        got_down = send_text(ssl, request) && receive_text(ssl, cut_response);
        clean = ended_cleanly(ssl);
}

static void origin_cuts(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        got_up = receive_text(ssl, request) && send_text(ssl, cut_response);
}

static void test_truncated(void **state)
{
        struct lab *lab = *state;

        lab->client = client_gets_cut;
        lab->origin = origin_cuts;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up && got_down);
        assert_false(clean);
        assert_string_equal(lab->end.first, "server");
        const json_t *e = lab_event(lab, "http.body", NULL, NULL);
        assert_true(json_is_false(json_object_get(e, "complete")));
        assert_string_equal(lab_str(e, "reason"), "origin closed");
}

static void origin_resets(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        got_up = receive_text(ssl, request) && send_text(ssl, cut_response);
        wait_for(&got_down);
        lab_reset(fd);
}

static void client_is_reset(struct lab *lab, SSL *ssl, int fd)
{
        char byte;

        client_gets_cut(lab, ssl, fd);
        clean = !(recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET) && clean;
}

static void test_origin_resets(void **state)
{
        struct lab *lab = *state;

        lab->client = client_is_reset;
        lab->origin = origin_resets;
        got_up = got_down = 0;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up && got_down);
        assert_false(clean);
        assert_string_equal(lab->end.first, "server");
        assert_string_equal(lab->end.how, "reset");
        assert_int_equal(lab->end.error, ECONNRESET);
        assert_true(lab->end.abort_client);
        assert_string_equal(lab_str(lab_event(lab, "http.body", NULL, NULL), "reason"), "reset");
}

static void client_resets(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        send_text(ssl, request);
        wait_for(&got_up); /* a reset overtakes what the peer has not read */
        lab_reset(fd);
}

static void origin_is_reset(struct lab *lab, SSL *ssl, int fd)
{
        char byte;

        (void)lab;
        got_up = receive_text(ssl, request);
        clean = recv(fd, &byte, 1, 0) >= 0;
}

static void test_client_resets(void **state)
{
        struct lab *lab = *state;

        lab->client = client_resets;
        lab->origin = origin_is_reset;
        got_up = got_down = 0;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up);
        assert_false(clean);
        assert_string_equal(lab->end.first, "client");
        assert_string_equal(lab->end.how, "reset");
        assert_true(lab->end.abort_origin);
}

/* The founding case: the client goes away while the answer is still coming. */
static void client_gives_up(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        send_text(ssl, request);
        receive_pattern(ssl, 1000);
}

static void origin_sends_much(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        got_up = receive_text(ssl, request);
        clean = send_pattern(ssl, 64 << 20);
}

static void test_client_gives_up(void **state)
{
        struct lab *lab = *state;

        lab->client = client_gives_up;
        lab->origin = origin_sends_much;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up);
        assert_false(clean);
        assert_string_equal(lab->end.first, "client");
        assert_true(lab->end.abort_origin);
}

/* An origin that answers and hangs up while the client is still sending: the answer arrives. */
static void client_uploads(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        send_text(ssl, request);
        send_pattern(ssl, 64 << 20);
        got_down = receive_text(ssl, response);
}

static void origin_refuses_upload(struct lab *lab, SSL *ssl, int fd)
{
        char data[4096];

        (void)lab;
        got_up = receive_text(ssl, request) && send_text(ssl, response);
        SSL_shutdown(ssl);
        shutdown(fd, SHUT_WR);
        usleep(50000);
        while (recv(fd, data, sizeof data, MSG_DONTWAIT) > 0)
                continue;
}

static void test_refused_upload(void **state)
{
        struct lab *lab = *state;

        lab->client = client_uploads;
        lab->origin = origin_refuses_upload;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up);
        assert_string_equal(lab->end.first, "server");
}

static void origin_never_answers(struct lab *lab, SSL *ssl, int fd)
{
        char data[4096];

        (void)lab;
        (void)ssl;
        while (recv(fd, data, sizeof data, 0) > 0)
                continue;
}

static void client_says_hello_and_goes(struct lab *lab, SSL *ssl, int fd)
{
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

        (void)fd;
        ssl = lab_client_ssl(lab, ctx);
        lab_send_hello(lab, ssl);
        usleep(50000);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
}

static void test_client_gone_while_origin_slow(void **state)
{
        struct lab *lab = *state;

        lab->plain_client = lab->plain_origin = true;
        lab->client = client_says_hello_and_goes;
        lab->origin = origin_never_answers;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_string_equal(lab->end.first, "client");
        assert_string_equal(lab->end.how, "eof");
        assert_false(inspector_is_distrusted(lab->inspector, "index.example"));
}

enum { MUCH = 1 << 20 };

/* What the origin had sent before its reset lies in the relay's kernel, for a client that is slow:
 * it must arrive, and then no end in order. A reset of ours would have overtaken it. */
static void client_reads_late(struct lab *lab, SSL *ssl, int fd)
{
        int small = 4096;

        (void)lab;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        send_text(ssl, request);
        usleep(300000);
        got_down = receive_pattern(ssl, MUCH);
        clean = ended_cleanly(ssl);
}

static void origin_sends_and_resets(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        got_up = receive_text(ssl, request) && send_pattern(ssl, MUCH);
        usleep(100000);
        lab_reset(fd);
}

static void test_nothing_is_lost_before_a_reset(void **state)
{
        struct lab *lab = *state;

        lab->client = client_reads_late;
        lab->origin = origin_sends_and_resets;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_string_equal(lab->end.how, "reset");
        assert_string_equal(lab->end.first, "server");
        assert_int_equal(got_down, MUCH);
        assert_false(clean);
}

/* New keys over and over, each asking for new ones back: it goes on, and the bytes are right. */
static void client_updates_keys(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        got_down = 0;
        for (int i = 0; i < 20; i++) {
                SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
                send_pattern(ssl, 100);
        }
        got_down = receive_text(ssl, response);
        SSL_shutdown(ssl);
}

static void origin_updates_keys(struct lab *lab, SSL *ssl, int fd)
{
        unsigned char data[100];
        size_t got = 0;
        int n;

        (void)lab;
        (void)fd;
        while (got < 2000 && (n = SSL_read(ssl, data, sizeof data)) > 0) {
                got += (size_t)n;
                SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
        }
        got_up = got == 2000 && send_text(ssl, response);
        clean = ended_cleanly(ssl);
}

static void test_key_updates(void **state)
{
        struct lab *lab = *state;

        lab->client = client_updates_keys;
        lab->origin = origin_updates_keys;
        lab_run(lab);
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up && got_down);
}

/* The first readiness after which nothing more can happen ends the drive: time itself is the flow's
 * business, so the limits are asked for and expired by hand. */
static void check_expired(struct lab *lab, enum intercept_result expected)
{
        lab->idle_ms = 300;
        lab->expire = true;
        lab_run(lab);
        assert_int_equal(lab->result, expected);
}

static void client_says_half_a_hello(struct lab *lab, SSL *ssl, int fd)
{
        char byte;

        (void)lab;
        (void)ssl;
        assert_int_equal(send(fd, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, 0), 11);
        got_down = recv(fd, &byte, 1, 0) == 1;
}

static void test_half_a_hello(void **state)
{
        struct lab *lab = *state;

        lab->plain_client = lab->plain_origin = true;
        lab->client = client_says_half_a_hello;
        lab->origin = origin_never_answers;
        check_expired(lab, INTERCEPT_PASS);
        assert_int_equal(lab->passed_len, 11);
        assert_in_range(lab->limit, 290000, 300000);
}

static void client_waits(struct lab *lab, SSL *ssl, int fd)
{
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        char byte;

        ssl = lab_client_ssl(lab, ctx);
        lab_send_hello(lab, ssl);
        clean = recv(fd, &byte, 1, 0) == 0;
        SSL_free(ssl);
        SSL_CTX_free(ctx);
}

static void test_handshakes_have_a_deadline(void **state)
{
        struct lab *lab = *state;

        lab->plain_client = lab->plain_origin = true;
        lab->client = client_waits;
        lab->origin = origin_never_answers;
        check_expired(lab, INTERCEPT_CLOSED);
        assert_string_equal(lab->end.first, "server");
        assert_int_equal(lab->end.error, ETIMEDOUT);
        assert_true(lab->end.abort_client);
        assert_false(clean);
}

static void origin_ignores_the_end(struct lab *lab, SSL *ssl, int fd)
{
        char byte;

        (void)lab;
        got_up = receive_text(ssl, request) && ended_cleanly(ssl);
        clean = recv(fd, &byte, 1, 0) > 0 || recv(fd, &byte, 1, 0) > 0;
}

static void client_ends_and_waits(struct lab *lab, SSL *ssl, int fd)
{
        char byte;

        (void)lab;
        send_text(ssl, request);
        SSL_shutdown(ssl);
        got_down = recv(fd, &byte, 1, 0) > 0;
}

static void test_silence_after_half_an_end(void **state)
{
        struct lab *lab = *state;

        lab->client = client_ends_and_waits;
        lab->origin = origin_ignores_the_end;
        check_expired(lab, INTERCEPT_CLOSED);
        assert_int_equal(lab->limit, 600000);
        assert_string_equal(lab->end.first, "client");
        assert_true(got_up);
}

#define T(name) cmocka_unit_test_setup_teardown(name, lab_set_up, lab_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_half_close),
                T(test_rude_half_close),
                T(test_truncated),
                T(test_origin_resets),
                T(test_client_resets),
                T(test_client_gives_up),
                T(test_refused_upload),
                T(test_client_gone_while_origin_slow),
                T(test_nothing_is_lost_before_a_reset),
                T(test_key_updates),
                T(test_half_a_hello),
                T(test_handshakes_have_a_deadline),
                T(test_silence_after_half_an_end),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
