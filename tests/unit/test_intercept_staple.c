/* Stapled OCSP answers: what a client that asked for one would have refused is not covered up by a
 * leaf of ours. The client then gets the origin's own certificate and answer. */
#include "tls_scripts.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

enum answer { NO_ANSWER, GOOD, REVOKED, STALE, UNKNOWN, BY_ANOTHER, GARBAGE };

static enum answer answer;
static bool was_asked;

static void asks(struct lab *lab, SSL *ssl)
{
        (void)lab;
        SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
}

static ASN1_TIME *in_seconds(long seconds)
{
        return X509_gmtime_adj(NULL, seconds);
}

static void add_status(OCSP_BASICRESP *basic, X509 *cert, X509 *issuer)
{
        OCSP_CERTID *id = OCSP_cert_to_id(NULL, cert, issuer);
        ASN1_TIME *from = in_seconds(answer == STALE ? -90000 : -60);
        ASN1_TIME *until = in_seconds(answer == STALE ? -3600 : 3600);
        ASN1_TIME *when = in_seconds(-100);
        int status = answer == REVOKED   ? V_OCSP_CERTSTATUS_REVOKED
                     : answer == UNKNOWN ? V_OCSP_CERTSTATUS_UNKNOWN
                                         : V_OCSP_CERTSTATUS_GOOD;

        assert(OCSP_basic_add1_status(basic, id, status, OCSP_REVOKED_STATUS_KEYCOMPROMISE,
                                      answer == REVOKED ? when : NULL, from, until));
        OCSP_CERTID_free(id);
        ASN1_TIME_free(from);
        ASN1_TIME_free(until);
        ASN1_TIME_free(when);
}

static int make_answer(struct lab *lab, SSL *ssl, unsigned char **out)
{
        EVP_PKEY *other_key = EVP_EC_gen("P-256");
        X509 *other = leaf_make_ca(other_key);
        OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
        bool foreign = answer == BY_ANOTHER;

        add_status(basic, SSL_get_certificate(ssl), lab->root);
        assert(OCSP_basic_sign(basic, foreign ? other : lab->root,
                               foreign ? other_key : lab->root_key, EVP_sha256(), NULL, 0));
        OCSP_RESPONSE *whole = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
        int len = i2d_OCSP_RESPONSE(whole, out);
        OCSP_RESPONSE_free(whole);
        OCSP_BASICRESP_free(basic);
        X509_free(other);
        EVP_PKEY_free(other_key);
        return len;
}

static int on_status(SSL *ssl, void *ctx)
{
        unsigned char *bytes = NULL;
        int len;

        was_asked = true;
        if (answer == NO_ANSWER)
                return SSL_TLSEXT_ERR_NOACK;
        if (answer == GARBAGE) {
                bytes = OPENSSL_malloc(20);
                memset(bytes, '!', 20);
                len = 20;
        } else {
                len = make_answer(ctx, ssl, &bytes);
        }
        assert(len > 0);
        SSL_set_tlsext_status_ocsp_resp(ssl, bytes, len);
        return SSL_TLSEXT_ERR_OK;
}

static void staples(struct lab *lab, SSL *ssl)
{
        SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);

        SSL_CTX_set_tlsext_status_arg(ctx, lab);
        SSL_CTX_set_tlsext_status_cb(ctx, on_status);
}

/* A certificate that says: not without an answer (RFC 7633). */
static void must_staple(struct lab *lab, SSL *ssl)
{
        X509 *cert = X509_dup(SSL_get_certificate(ssl));
        X509_EXTENSION *feature = X509V3_EXT_conf_nid(NULL, NULL, NID_tlsfeature, "status_request");

        assert(cert && feature && X509_add_ext(cert, feature, -1) &&
               X509_sign(cert, lab->root_key, EVP_sha256()));
        assert(SSL_use_certificate(ssl, cert) == 1);
        X509_EXTENSION_free(feature);
        X509_free(cert);
        staples(lab, ssl);
}

static void run(struct lab *lab, enum answer what)
{
        answer = what;
        got_up = got_down = 0;
        was_asked = false;
        lab->client = client_get;
        lab->origin = origin_get;
        lab_run(lab);
}

static void check_inspected(struct lab *lab)
{
        assert_int_equal(lab->result, INTERCEPT_CLOSED);
        assert_true(got_up && got_down);
}

static void check_passed(struct lab *lab, const char *verify)
{
        const json_t *e = lab_event(lab, "tls", "side", "origin");

        assert_int_equal(lab->result, INTERCEPT_PASS);
        assert_string_equal(lab_str(e, "result"), "failed");
        assert_string_equal(lab_str(e, "verify"), verify);
        assert_memory_equal(lab->passed, lab->hello, lab->hello_len);
}

static void test_answers(void **state)
{
        struct lab *lab = *state;

        lab->prepare_client = asks;
        lab->prepare_origin = staples;
        for (lab->max_version = TLS1_2_VERSION; lab->max_version <= TLS1_3_VERSION;
             lab->max_version++) {
                run(lab, NO_ANSWER);
                check_inspected(lab);
                assert_true(was_asked);
                run(lab, GOOD);
                check_inspected(lab);
                run(lab, REVOKED);
                check_passed(lab, "certificate revoked");
                for (enum answer bad = STALE; bad <= GARBAGE; bad++) {
                        run(lab, bad);
                        check_passed(lab, "its stapled OCSP answer cannot be verified");
                }
        }
}

/* Who does not ask would not have known. */
static void test_not_asked(void **state)
{
        struct lab *lab = *state;

        lab->prepare_origin = staples;
        run(lab, REVOKED);
        check_inspected(lab);
        assert_false(was_asked);
}

static void test_promised(void **state)
{
        struct lab *lab = *state;

        lab->prepare_client = asks;
        lab->prepare_origin = must_staple;
        run(lab, GOOD);
        check_inspected(lab);
        run(lab, NO_ANSWER);
        check_passed(lab, "its certificate promises a stapled OCSP answer, and there is none");
        lab->prepare_client = NULL;
        run(lab, NO_ANSWER);
        check_inspected(lab);
}

#define T(name) cmocka_unit_test_setup_teardown(name, lab_set_up, lab_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {T(test_answers), T(test_not_asked), T(test_promised)};

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
