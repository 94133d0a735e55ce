/* The intercept where it must not intercept: what is passed through untouched, and what is
 * recorded of clients that do not trust the run's CA. */
#include "tls_scripts.h"

static void client_nothing(struct lab *lab, SSL *ssl, int fd)
{
        char data[64];

        (void)lab;
        (void)ssl;
        got_down = recv(fd, data, sizeof data, 0) > 0;
}

/* The client's bytes are handed back as they came and the client has seen nothing. */
static void check_passed(struct lab *lab, const char *result)
{
        const json_t *e = lab_event(lab, "tls", NULL, NULL);

        assert_int_equal(lab->result, INTERCEPT_PASS);
        assert_int_equal(lab->passed_len, lab->hello_len);
        assert_memory_equal(lab->passed, lab->hello, lab->hello_len);
        assert_false(lab->client_up);
        assert_non_null(e);
        assert_string_equal(lab_str(e, "result"), result);
        assert_true(strlen(lab_str(e, "error")) > 0);
        assert_string_equal(lab_str(e, "error"), lab->reason);
}

static void test_untrusted_origin(void **state)
{
        struct lab *lab = *state;

        lab->origin_untrusted = true;
        lab_run(lab);
        check_passed(lab, "failed");
        const json_t *e = lab_event(lab, "tls", NULL, NULL);
        assert_string_equal(lab_str(e, "side"), "origin");
        assert_non_null(strstr(lab_str(e, "verify"), "issuer certificate"));
        assert_non_null(strstr(lab_str(e, "subject"), "index.example"));
}

/* All of a hello goes to the origin, however long. */
static void test_long_hello(void **state)
{
        struct lab *lab = *state;

        lab->origin_untrusted = true;
        for (lab->ech_len = 15000; lab->ech_len <= 60000; lab->ech_len += 15000) {
                lab_run(lab);
                check_passed(lab, "failed");
                assert_true(lab->hello_len > lab->ech_len);
        }
}

/* What testssl.sh would hold against us is not offered, and not refused either: the origin may take
 * it. */
static void prepare_cbc(struct lab *lab, SSL *ssl)
{
        (void)lab;
        SSL_set_cipher_list(ssl, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA");
}

static void test_old_ciphers(void **state)
{
        struct lab *lab = *state;

        lab->max_version = TLS1_2_VERSION;
        lab->prepare_client = prepare_cbc;
        lab_run(lab);
        check_passed(lab, "passed");
        assert_non_null(strstr(lab->reason, "no shared cipher"));
}

static void test_wrong_name(void **state)
{
        struct lab *lab = *state;

        lab->cert_name = "other.example";
        lab_run(lab);
        check_passed(lab, "failed");
        assert_non_null(strstr(lab_str(lab_event(lab, "tls", NULL, NULL), "verify"), "mismatch"));
}

static void test_wrong_address(void **state)
{
        struct lab *lab = *state;

        lab->sni = lab->name = NULL;
        lab->cert_name = "127.0.0.2";
        lab_run(lab);
        check_passed(lab, "failed");
}

static void test_client_certificate(void **state)
{
        struct lab *lab = *state;

        lab->want_certificate = true;
        for (lab->max_version = TLS1_2_VERSION; lab->max_version <= TLS1_3_VERSION;
             lab->max_version++) {
                lab_run(lab);
                check_passed(lab, "passed");
                assert_non_null(strstr(lab->reason, "certificate of the client"));
        }
}

static void test_unknown_protocol_only(void **state)
{
        struct lab *lab = *state;

        lab->alpn = "\x0a"
                    "acme-tls/1";
        lab->slow = true;
        lab_run(lab);
        check_passed(lab, "passed");
}

static void test_old_version(void **state)
{
        struct lab *lab = *state;

        lab->max_version = TLS1_1_VERSION;
        lab_run(lab);
        check_passed(lab, "passed");
        assert_non_null(strstr(lab->reason, "1.2"));
}

static void origin_closes(struct lab *lab, SSL *ssl, int fd)
{
        char data[16];

        (void)lab;
        (void)ssl;
        if (recv(fd, data, sizeof data, 0) < 0)
                return;
}

static void origin_talks_http(struct lab *lab, SSL *ssl, int fd)
{
        char data[4096];

        (void)lab;
        (void)ssl;
        if (recv(fd, data, sizeof data, 0) > 0)
                send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
        while (recv(fd, data, sizeof data, 0) > 0)
                continue;
}

static void test_broken_origin(void **state)
{
        struct lab *lab = *state;

        lab->plain_origin = true;
        lab->origin = origin_closes;
        lab_run(lab);
        check_passed(lab, "failed");
        lab->origin = origin_talks_http;
        lab_run(lab);
        check_passed(lab, "failed");
}

static void client_plain(struct lab *lab, SSL *ssl, int fd)
{
        memcpy(lab->hello, "SSH-2.0-x\r\n", lab->hello_len = 11);
        send(fd, lab->hello, lab->hello_len, MSG_NOSIGNAL);
        client_nothing(lab, ssl, fd);
}

static void client_half_tls(struct lab *lab, SSL *ssl, int fd)
{
        memcpy(lab->hello, "\x16\x02garbage", lab->hello_len = 9);
        send(fd, lab->hello, lab->hello_len, MSG_NOSIGNAL);
        client_nothing(lab, ssl, fd);
}

static void client_bad_hello(struct lab *lab, SSL *ssl, int fd)
{
        memcpy(lab->hello, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", lab->hello_len = 10);
        send(fd, lab->hello, lab->hello_len, MSG_NOSIGNAL);
        client_nothing(lab, ssl, fd);
}

static void client_ends_early(struct lab *lab, SSL *ssl, int fd)
{
        (void)ssl;
        memcpy(lab->hello, "\x16\x03\x01", lab->hello_len = 3);
        send(fd, lab->hello, lab->hello_len, MSG_NOSIGNAL);
}

static void test_not_tls(void **state)
{
        static lab_script *const scripts[] = {client_plain, client_half_tls, client_bad_hello,
                                              client_ends_early};
        struct lab *lab = *state;

        lab->plain_client = lab->plain_origin = true;
        for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
                lab->client = scripts[i];
                for (lab->early_len = 0; lab->early_len < 3; lab->early_len++) {
                        lab_run(lab);
                        assert_int_equal(lab->result, INTERCEPT_PASS);
                        /* What the relay has not read stays in the socket. */
                        assert_true(lab->passed_len <= lab->hello_len);
                        assert_memory_equal(lab->passed, lab->hello, lab->passed_len);
                        assert_false(got_down);
                }
        }
}

/* ---- the client does not trust us ---- */

static void origin_waits(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        clean = ended_cleanly(ssl);
}

static void check_distrust(struct lab *lab)
{
        const json_t *e = lab_event(lab, "tls", "side", "client");

        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_non_null(e);
        assert_string_equal(lab_str(e, "result"), "failed");
        assert_string_equal(lab->end.first, "client");
        assert_true(inspector_is_distrusted(lab->inspector, "INDEX.example"));
        assert_false(inspector_is_distrusted(lab->inspector, "other.example"));
}

static void test_distrust_alert(void **state)
{
        struct lab *lab = *state;

        lab->client_trusts = false;
        lab->origin = origin_waits;
        for (lab->max_version = TLS1_2_VERSION; lab->max_version <= TLS1_3_VERSION;
             lab->max_version++) {
                inspector_free(lab->inspector); /* it would remember the first */
                lab->inspector = NULL;
                lab_run(lab);
                check_distrust(lab);
                assert_string_equal(lab_str(lab_event(lab, "tls", "side", "client"), "alert"),
                                    "unknown CA");
                assert_false(lab->client_up);
        }
}

/* In auto mode the next connection to that name is left alone, whatever the flow knew of it. */
static void test_passes_after_distrust(void **state)
{
        struct lab *lab = *state;

        lab->client_trusts = false;
        lab->name = NULL;
        lab->origin = origin_waits;
        lab_run(lab);
        check_distrust(lab);
        lab_run(lab);
        check_passed(lab, "passed");
}

static void client_leaves(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)ssl;
        (void)fd;
}

/* As GnuTLS and Node on TLS 1.2 do. */
static void test_distrust_silent(void **state)
{
        struct lab *lab = *state;

        lab->client = client_leaves;
        lab->origin = origin_waits;
        lab_run(lab);
        check_distrust(lab);
        assert_non_null(strstr(lab_str(lab_event(lab, "tls", "side", "client"), "error"),
                               "without sending a byte"));
}

static void test_always_mode(void **state)
{
        struct lab *lab = *state;

        lab->mode = INSPECTOR_ALWAYS;
        lab->client_trusts = false;
        lab_run(lab);
        assert_string_equal(lab_str(lab_event(lab, "tls", "side", "client"), "result"), "failed");
        assert_false(inspector_is_distrusted(lab->inspector, "index.example"));
}

/* It is the origin that hangs up on an idle connection: nobody distrusts anybody. */
static void client_waits(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        clean = ended_cleanly(ssl);
}

static void origin_hangs_up(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        SSL_shutdown(ssl);
}

static void test_origin_hangs_up(void **state)
{
        struct lab *lab = *state;

        lab->client = client_waits;
        lab->origin = origin_hangs_up;
        lab_run(lab);
        assert_true(clean);
        assert_string_equal(lab->end.first, "server");
        assert_string_equal(lab_str(lab_event(lab, "tls", "side", "client"), "result"), "ok");
        assert_false(inspector_is_distrusted(lab->inspector, "index.example"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, lab_set_up, lab_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_untrusted_origin),      T(test_wrong_name),
                T(test_wrong_address),         T(test_client_certificate),
                T(test_unknown_protocol_only), T(test_old_version),
                T(test_broken_origin),         T(test_not_tls),
                T(test_distrust_alert),        T(test_passes_after_distrust),
                T(test_distrust_silent),       T(test_always_mode),
                T(test_origin_hangs_up),       T(test_long_hello),
                T(test_old_ciphers),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
