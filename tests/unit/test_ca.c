/* ca.c and leaf.c: the CA and its leafs, checked with OpenSSL's strict verification (the rules that
 * CPython 3.13 turned on) and field by field where clients are known to differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/x509v3.h>

#include "inspect/ca.h"
#include "inspect/leaf.h"

struct fixture {
        struct ca *ca;
        SSL_CTX *ctx;
        SSL *ssl;
};

static int set_up(void **state)
{
        static struct fixture f;

        f.ca = ca_new();
        f.ctx = SSL_CTX_new(TLS_server_method());
        f.ssl = SSL_new(f.ctx);
        *state = &f;
        return f.ca && f.ssl ? 0 : -1;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        SSL_free(f->ssl);
        SSL_CTX_free(f->ctx);
        ca_free(f->ca);
        return 0;
}

static X509 *use(struct fixture *f, const char *name, X509 *origin, unsigned flags)
{
        assert_int_equal(ca_use_leaf(f->ca, f->ssl, name, origin, flags), 0);
        assert_int_equal(SSL_check_private_key(f->ssl), 1);
        return SSL_get_certificate(f->ssl);
}

/* Returns OpenSSL's verdict for a TLS client that trusts ca and asks for name. */
static int verdict(X509 *ca, X509 *leaf, const char *host, const char *ip)
{
        X509_STORE *store = X509_STORE_new();
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();

        X509_STORE_add_cert(store, ca);
        X509_STORE_CTX_init(ctx, store, leaf, NULL);
        X509_STORE_CTX_set_default(ctx, "ssl_server");
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        if (host)
                X509_VERIFY_PARAM_set1_host(param, host, 0);
        if (ip)
                X509_VERIFY_PARAM_set1_ip_asc(param, ip);
        X509_verify_cert(ctx);
        int error = X509_STORE_CTX_get_error(ctx);
        X509_STORE_CTX_free(ctx);
        X509_STORE_free(store);
        return error;
}

static void test_strict_verification(void **state)
{
        struct fixture *f = *state;
        X509 *ca = ca_certificate(f->ca);

        for (unsigned rsa = 0; rsa <= LEAF_RSA; rsa += LEAF_RSA) {
                X509 *leaf = use(f, "index.example", NULL, rsa);
                assert_int_equal(verdict(ca, leaf, "index.example", NULL), X509_V_OK);
                assert_int_equal(verdict(ca, leaf, "other.example", NULL),
                                 X509_V_ERR_HOSTNAME_MISMATCH);
                leaf = use(f, "192.0.2.7", NULL, rsa);
                assert_int_equal(verdict(ca, leaf, NULL, "192.0.2.7"), X509_V_OK);
                assert_int_equal(verdict(ca, leaf, "192.0.2.7", NULL),
                                 X509_V_ERR_HOSTNAME_MISMATCH);
                leaf = use(f, "2001:db8::1", NULL, rsa);
                assert_int_equal(verdict(ca, leaf, NULL, "2001:db8:0::1"), X509_V_OK);
                leaf = use(f, "index.example", NULL, rsa | LEAF_LAX);
                assert_int_equal(verdict(ca, leaf, "index.example", NULL),
                                 X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER);
        }
}

static void test_ca_fields(void **state)
{
        struct fixture *f = *state;
        X509 *ca = ca_certificate(f->ca);
        char cn[128];

        assert_true(X509_check_ca(ca) == 1);
        assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
        assert_non_null(X509_get0_subject_key_id(ca));
        assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(ca), NID_commonName, cn,
                                              sizeof cn) > 0);
        assert_non_null(strstr(cn, "tapline"));
        int critical;
        BASIC_CONSTRAINTS *constraints =
                X509_get_ext_d2i(ca, NID_basic_constraints, &critical, NULL);
        assert_true(constraints && critical == 1);
        BASIC_CONSTRAINTS_free(constraints);
}

static void check_serial(X509 *cert)
{
        BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);

        assert_false(BN_is_negative(serial));
        assert_in_range(BN_num_bits(serial), 64, 159);
        BN_free(serial);
}

static void test_leaf_fields(void **state)
{
        struct fixture *f = *state;
        X509 *ca = ca_certificate(f->ca), *leaf = use(f, "index.example", NULL, 0);
        const ASN1_OCTET_STRING *theirs = X509_get0_authority_key_id(leaf);
        int days, seconds;

        check_serial(ca);
        check_serial(leaf);
        assert_int_equal(ASN1_OCTET_STRING_cmp(theirs, X509_get0_subject_key_id(ca)), 0);
        assert_non_null(X509_get0_subject_key_id(leaf));
        assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
        assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
        assert_int_equal(X509_get_key_usage(use(f, "index.example", NULL, LEAF_RSA)),
                         KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT);
        assert_true(ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(ca)) <= 0);
        assert_true(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(leaf), NULL));
        assert_int_equal(days, 1);
        assert_int_equal(X509_get_ext_by_NID(leaf, NID_info_access, -1), -1);
        assert_int_equal(X509_get_ext_by_NID(leaf, NID_crl_distribution_points, -1), -1);
}

static void test_cache(void **state)
{
        struct fixture *f = *state;
        X509 *first = use(f, "a.example", NULL, 0);
        char name[64];

        assert_ptr_equal(use(f, "a.example", NULL, 0), first);
        assert_ptr_not_equal(use(f, "b.example", NULL, 0), first);
        /* More names than are kept: no crash, and the oldest is made anew. */
        for (int i = 0; i < 1100; i++) {
                snprintf(name, sizeof name, "n%d.example", i);
                use(f, name, NULL, 0);
        }
        assert_int_equal(
                verdict(ca_certificate(f->ca), use(f, "a.example", NULL, 0), "a.example", NULL),
                X509_V_OK);
}

/* An origin's certificate with two names: the leaf must answer to both and to no third. */
static void test_mirrored_names(void **state)
{
        struct fixture *f = *state;
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *issuer = leaf_make_ca(key);
        X509 *origin = leaf_make(issuer, key, key, "*.pkg.example", NULL, true);
        X509 *ca = ca_certificate(f->ca);

        X509 *leaf = use(f, "index.example", origin, 0);
        assert_int_equal(verdict(ca, leaf, "index.pkg.example", NULL), X509_V_OK);
        assert_int_equal(verdict(ca, leaf, "files.pkg.example", NULL), X509_V_OK);
        assert_int_equal(verdict(ca, leaf, "pkg.example", NULL), X509_V_ERR_HOSTNAME_MISMATCH);
        assert_ptr_equal(use(f, "index.example", origin, 0), leaf);
        assert_ptr_not_equal(use(f, "index.example", NULL, 0), leaf);
        X509_free(origin);
        X509_free(issuer);
        EVP_PKEY_free(key);
}

static void test_odd_names(void **state)
{
        struct fixture *f = *state;
        char name[251];

        /* Longer than a common name may be; and what would be syntax in OpenSSL's configuration. */
        memset(name, 'a', sizeof name - 1);
        for (size_t i = 50; i < sizeof name - 1; i += 50)
                name[i] = '.';
        name[sizeof name - 1] = '\0';
        assert_int_equal(verdict(ca_certificate(f->ca), use(f, name, NULL, 0), name, NULL),
                         X509_V_OK);
        use(f, "a,DNS:evil.example", NULL, 0);
        assert_int_equal(
                verdict(ca_certificate(f->ca), SSL_get_certificate(f->ssl), "evil.example", NULL),
                X509_V_ERR_HOSTNAME_MISMATCH);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_strict_verification, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_ca_fields, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_leaf_fields, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cache, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_mirrored_names, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_odd_names, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
