/* The intercept between a real client and a real origin (tls_lab.h): what is inspected arrives
 * unchanged and is recorded, with every shape of hello. */
#include "tls_scripts.h"

static void check_exchange(struct lab *lab)
{
        const json_t *e;

        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up && got_down && clean);
        assert_string_equal(lab->end.first, "client");
        assert_string_equal(lab->end.how, "eof");
        assert_false(lab->end.abort_client || lab->end.abort_origin);
        assert_non_null(e = lab_event(lab, "tls", "side", "origin"));
        assert_string_equal(lab_str(e, "result"), "ok");
        assert_non_null(
                strstr(lab_str(e, "issuer"), "tapline CA")); /* the lab's root is made alike */
        assert_non_null(e = lab_event(lab, "tls", "side", "client"));
        assert_string_equal(lab_str(e, "result"), "ok");
        assert_non_null(e = lab_event(lab, "http.request", NULL, NULL));
        assert_string_equal(lab_str(e, "url"), "https://index.example/simple/?token=***");
        assert_non_null(e = lab_event(lab, "http.response", NULL, NULL));
        assert_int_equal(json_integer_value(json_object_get(e, "status")), 200);
        assert_non_null(e = lab_event(lab, "http.body", NULL, NULL));
        assert_true(json_is_true(json_object_get(e, "complete")));
}

static void test_exchange(void **state)
{
        struct lab *lab = *state;

        lab->client = client_get;
        lab->origin = origin_get;
        lab_run(lab);
        check_exchange(lab);
        assert_string_equal(lab->client_version, "TLSv1.3");
        assert_string_equal(lab->client_alpn, "http/1.1");
        assert_non_null(strstr(lab->client_issuer, "tapline CA"));
        assert_int_equal(lab->origin_offer_len, 12);
        assert_memory_equal(lab->origin_offer, "\x02h2\x08http/1.1", 12);
        assert_string_equal(lab->origin_sni, "index.example");
}

/* What the origin chose is what the client gets. */
static void test_alpn_of_the_origin(void **state)
{
        static const char *const choices[] = {"h2", "http/1.1", "none"};
        struct lab *lab = *state;

        lab->client = client_get;
        lab->origin = origin_get;
        for (size_t i = 0; i < 3; i++) {
                lab->choice = choices[i];
                lab_run(lab);
                check_exchange(lab);
                assert_string_equal(lab->client_alpn, i < 2 ? choices[i] : "");
                assert_string_equal(lab_str(lab_event(lab, "tls", "side", "client"), "alpn"),
                                    lab->client_alpn);
        }
}

static void test_exchange_tls12(void **state)
{
        struct lab *lab = *state;

        lab->client = client_get;
        lab->origin = origin_get;
        lab->max_version = TLS1_2_VERSION;
        lab_run(lab);
        check_exchange(lab);
        assert_string_equal(lab->client_version, "TLSv1.2");
}

static void test_no_alpn(void **state)
{
        struct lab *lab = *state;

        lab->client = client_get;
        lab->origin = origin_get;
        lab->alpn = NULL;
        lab_run(lab);
        check_exchange(lab);
        assert_string_equal(lab->client_alpn, "");
        assert_int_equal(lab->origin_offer_len, 0);
}

static void test_hello_in_pieces(void **state)
{
        struct lab *lab = *state;

        lab->client = client_get;
        lab->origin = origin_get;
        lab->slow = true;
        for (lab->early_len = 0; lab->early_len < 4; lab->early_len++) {
                lab_run(lab);
                check_exchange(lab);
        }
        lab->slow = false;
        lab->early_len = 200;
        lab_run(lab);
        check_exchange(lab);
}

/* Keys that no quantum computer breaks, padding and ECH make hellos longer than a segment, a record
 * (16 KiB), several. An extension for Encrypted ClientHello is nothing to us: the outer name
 * counts. */
static void test_long_hello(void **state)
{
        static const size_t sizes[] = {100, 1500, 16000, 16384, 17000, 40000, 60000};
        struct lab *lab = *state;

        lab->client = client_get;
        lab->origin = origin_get;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                lab->ech_len = sizes[i];
                for (lab->slow = false;; lab->slow = true) {
                        lab_run(lab);
                        check_exchange(lab);
                        assert_true(lab->hello_len > sizes[i]);
                        assert_string_equal(lab->origin_sni, "index.example");
                        if (lab->slow)
                                break;
                }
        }
}

static void test_bulk(void **state)
{
        struct lab *lab = *state;

        lab->client = client_bulk;
        lab->origin = origin_bulk;
        for (lab->max_version = TLS1_2_VERSION; lab->max_version <= TLS1_3_VERSION;
             lab->max_version++) {
                lab_run(lab);
                assert_int_equal(lab->result, INTERCEPT_CLOSED);
                assert_int_equal(got_up, BULK_UP);
                assert_int_equal(got_down, BULK_DOWN);
        }
}

/* Some old clients sign nothing but RSA. */
static void test_rsa_only_client(void **state)
{
        struct lab *lab = *state;

        lab->client = client_get;
        lab->origin = origin_get;
        lab->sigalgs = "rsa_pss_rsae_sha256:RSA+SHA256";
        EVP_PKEY_free(lab->key);
        lab->key = EVP_RSA_gen(2048);
        for (lab->max_version = TLS1_2_VERSION; lab->max_version <= TLS1_3_VERSION;
             lab->max_version++) {
                lab_run(lab);
                check_exchange(lab);
                assert_string_equal(lab->client_key, "RSA");
                /* The key is made beside the loop, and once. */
                assert_true(lab->max_version == TLS1_2_VERSION || lab->waits == 0);
                lab->waits = 0;
        }
        lab->sigalgs = NULL;
        lab->max_version = TLS1_3_VERSION;
        lab_run(lab);
        check_exchange(lab);
        assert_string_equal(lab->client_key, "EC");
}

/* No SNI: the name that the flow knows, else the address, is what must be certified. */
static void test_no_sni(void **state)
{
        struct lab *lab = *state;

        lab->client = client_get;
        lab->origin = origin_get;
        lab->sni = NULL;
        lab_run(lab);
        check_exchange(lab);
        assert_string_equal(lab->origin_sni, "");
        lab->name = NULL;
        lab->cert_name = "127.0.0.1";
        lab_run(lab);
        check_exchange(lab);
}

#define T(name) cmocka_unit_test_setup_teardown(name, lab_set_up, lab_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_exchange), T(test_alpn_of_the_origin), T(test_exchange_tls12),
                T(test_no_alpn),  T(test_hello_in_pieces),    T(test_long_hello),
                T(test_bulk),     T(test_rsa_only_client),    T(test_no_sni),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
