/* anchors.c: what a store trusts is found by its name, decoded when it is asked for, and equal to
 * what a store has that was given every certificate at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "inspect/anchors.h"

enum { MANY = 4200 }; /* more than the table of anchors.c holds */

static EVP_PKEY *keys[2];

static int set_up(void **state)
{
        (void)state;
        for (int i = 0; i < 2; i++)
                if (!(keys[i] = EVP_EC_gen("P-256")))
                        return -1;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        for (int i = 0; i < 2; i++)
                EVP_PKEY_free(keys[i]);
        return 0;
}

static X509_NAME *name_of(const char *text, int type)
{
        X509_NAME *name = X509_NAME_new();

        X509_NAME_add_entry_by_txt(name, "CN", type, (const unsigned char *)text, -1, -1, 0);
        return name;
}

/* subject's certificate with the key of that number, signed by issuer with its own. */
static X509 *make(X509_NAME *subject, int key, X509_NAME *issuer, int issuer_key, bool is_ca)
{
        X509 *cert = X509_new();
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                                        is_ca ? "critical,CA:TRUE" : "CA:FALSE");

        X509_set_version(cert, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(cert), 0x01020304);
        X509_set_subject_name(cert, subject);
        X509_set_issuer_name(cert, issuer);
        X509_set_pubkey(cert, keys[key]);
        X509_gmtime_adj(X509_getm_notBefore(cert), -60);
        X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
        X509_add_ext(cert, extension, -1);
        X509_EXTENSION_free(extension);
        assert_true(X509_sign(cert, keys[issuer_key], EVP_sha256()) > 0);
        return cert;
}

static X509 *make_root(const char *text, int type, int key)
{
        X509_NAME *name = name_of(text, type);
        X509 *root = make(name, key, name, key, true);

        X509_NAME_free(name);
        return root;
}

static X509 *make_leaf(const char *issuer, int type, int issuer_key)
{
        X509_NAME *name = name_of("leaf", MBSTRING_UTF8), *from = name_of(issuer, type);
        X509 *leaf = make(name, 0, from, issuer_key, false);

        X509_NAME_free(name);
        X509_NAME_free(from);
        return leaf;
}

static void put(struct bundle *b, X509 *cert)
{
        unsigned char *der = NULL;
        int len = i2d_X509(cert, &der);

        assert_int_equal(bundle_add_bytes(b, (const char *)der, (size_t)len), 1);
        OPENSSL_free(der);
}

/* A store that trusts these; NULL ends them. They are freed. */
static X509_STORE *store_of(X509 *first, ...)
{
        X509_STORE *store = X509_STORE_new();
        struct bundle b = {NULL, 0};
        va_list more;

        va_start(more, first);
        for (X509 *cert = first; cert; cert = va_arg(more, X509 *)) {
                put(&b, cert);
                X509_free(cert);
        }
        va_end(more);
        anchors_add(store, &b);
        bundle_fini(&b);
        return store;
}

static int verdict(X509_STORE *store, X509 *leaf)
{
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();

        X509_STORE_CTX_init(ctx, store, leaf, NULL);
        X509_verify_cert(ctx);
        int error = X509_STORE_CTX_get_error(ctx);
        X509_STORE_CTX_free(ctx);
        return error;
}

/* And frees leaf. */
static void assert_verdict(X509_STORE *store, X509 *leaf, int wanted)
{
        assert_int_equal(verdict(store, leaf), wanted);
        X509_free(leaf);
}

static int decoded_in(X509_STORE *store)
{
        return sk_X509_OBJECT_num(X509_STORE_get0_objects(store));
}

static void test_only_what_is_asked_for(void **state)
{
        X509_STORE *store = store_of(make_root("One", MBSTRING_UTF8, 0),
                                     make_root("Two", MBSTRING_UTF8, 1), NULL);

        (void)state;
        assert_int_equal(decoded_in(store), 0);
        assert_verdict(store, make_leaf("Two", MBSTRING_UTF8, 1), X509_V_OK);
        assert_int_equal(decoded_in(store), 1);
        assert_verdict(store, make_leaf("Two", MBSTRING_UTF8, 1), X509_V_OK);
        assert_int_equal(decoded_in(store), 1);
        assert_verdict(store, make_leaf("Three", MBSTRING_UTF8, 1),
                       X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
        assert_verdict(store, make_leaf("One", MBSTRING_UTF8, 1),
                       X509_V_ERR_CERT_SIGNATURE_FAILURE);
        X509_STORE_free(store);
}

/* A root whose key was changed has its old name. */
static void test_two_of_a_name(void **state)
{
        X509_STORE *store = store_of(make_root("Root", MBSTRING_UTF8, 0),
                                     make_root("Root", MBSTRING_UTF8, 1), NULL);
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        X509_NAME *name = name_of("Root", MBSTRING_UTF8);

        (void)state;
        X509_STORE_CTX_init(ctx, store, NULL, NULL);
        STACK_OF(X509) *found = X509_STORE_CTX_get1_certs(ctx, name);
        assert_int_equal(sk_X509_num(found), 2);
        sk_X509_pop_free(found, X509_free);
        X509_NAME_free(name);
        X509_STORE_CTX_free(ctx);
        X509_STORE_free(store);
}

/* RFC 5280 section 7.1: names are compared, not their bytes. */
static void test_names_written_otherwise(void **state)
{
        X509_STORE *store = store_of(make_root("Some  Root", MBSTRING_UTF8, 0), NULL);

        (void)state;
        assert_verdict(store, make_leaf("some root", V_ASN1_PRINTABLESTRING, 0), X509_V_OK);
        X509_STORE_free(store);
}

static void test_bundle_after_bundle(void **state)
{
        X509 *one = make_root("First", MBSTRING_UTF8, 0),
             *two = make_root("Second", MBSTRING_UTF8, 1);
        X509_STORE *store = X509_STORE_new();
        struct bundle a = {NULL, 0}, b = {NULL, 0}, none = {NULL, 0};

        (void)state;
        put(&a, one);
        put(&b, two);
        put(&b, one);
        anchors_add(store, &a);
        anchors_add(store, &none);
        anchors_add(store, &b);
        bundle_fini(&a);
        bundle_fini(&b);
        assert_verdict(store, make_leaf("First", MBSTRING_UTF8, 0), X509_V_OK);
        assert_verdict(store, make_leaf("Second", MBSTRING_UTF8, 1), X509_V_OK);
        assert_int_equal(decoded_in(store), 2);
        X509_STORE_free(store);
        X509_free(one);
        X509_free(two);
}

/* Cut off, or with any of its bytes changed: left out or not, never read beyond its end. */
static void test_what_is_no_certificate(void **state)
{
        X509 *root = make_root("Hurt", MBSTRING_UTF8, 0);
        X509_STORE *store = X509_STORE_new();
        unsigned char *der = NULL;
        int len = i2d_X509(root, &der);
        struct bundle b = {NULL, 0};
        BIO *pem = BIO_new(BIO_s_mem());
        char *text;

        (void)state;
        for (int i = 0; i < len; i++) {
                unsigned char *copy = malloc((size_t)len);

                PEM_write_bio(pem, PEM_STRING_X509, "", der, i);
                memcpy(copy, der, (size_t)len);
                copy[i] ^= 0xff;
                PEM_write_bio(pem, PEM_STRING_X509, "", copy, len);
                free(copy);
        }
        long size = BIO_get_mem_data(pem, &text);
        assert_true(bundle_add_bytes(&b, text, (size_t)size) >= len);
        put(&b, root);
        anchors_add(store, &b);
        assert_verdict(store, make_leaf("Hurt", MBSTRING_UTF8, 0), X509_V_OK);
        assert_verdict(store, make_leaf("Hurt", MBSTRING_UTF8, 1),
                       X509_V_ERR_CERT_SIGNATURE_FAILURE);
        BIO_free(pem);
        bundle_fini(&b);
        OPENSSL_free(der);
        X509_STORE_free(store);
        X509_free(root);
}

struct seen {
        unsigned char *der[4];
        size_t len[4];
        int count;
};

static void see(void *ctx, const unsigned char *der, size_t len)
{
        struct seen *seen = ctx;

        seen->der[seen->count] = OPENSSL_memdup(der, len);
        seen->len[seen->count++] = len;
}

static void assert_seen(struct seen *seen, int index, X509 *cert)
{
        unsigned char *der = NULL;
        int len = i2d_X509(cert, &der);

        assert_true(index < seen->count);
        assert_int_equal(seen->len[index], len);
        assert_memory_equal(seen->der[index], der, (size_t)len);
        OPENSSL_free(der);
        OPENSSL_free(seen->der[index]);
}

/* In order, each block once; one that was cut off in front of another costs neither the other nor
 * the next; what is no PEM is left out. */
static void test_each_in_der(void **state)
{
        X509 *one = make_root("Each one", MBSTRING_UTF8, 0),
             *two = make_root("Each two", MBSTRING_UTF8, 1);
        BIO *pem = BIO_new(BIO_s_mem());
        struct bundle b = {NULL, 0};
        struct seen seen = {.count = 0};
        char *text;

        (void)state;
        PEM_write_bio_X509(pem, one);
        BIO_puts(pem, "-----BEGIN CERTIFICATE-----\nMIIB\n");
        PEM_write_bio_X509(pem, two);
        BIO_puts(pem, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
        PEM_write_bio_X509(pem, one);
        long size = BIO_get_mem_data(pem, &text);
        assert_int_equal(bundle_add_bytes(&b, text, (size_t)size), 4);
        anchors_each(&b, see, &seen);
        assert_int_equal(seen.count, 3);
        assert_seen(&seen, 0, one);
        assert_seen(&seen, 1, two);
        assert_seen(&seen, 2, one);
        BIO_free(pem);
        bundle_fini(&b);
        X509_free(one);
        X509_free(two);
}

/* What was told of a block is not decoded again; a block that differs by a byte is another. */
static void test_what_is_known_is_not_decoded(void **state)
{
        X509 *block = make_root("Block", MBSTRING_UTF8, 0),
             *told = make_root("Told", MBSTRING_UTF8, 1);
        X509_STORE *store = X509_STORE_new();
        BIO *pem = BIO_new(BIO_s_mem());
        unsigned char *der = NULL;
        int len = i2d_X509(told, &der);
        struct bundle b = {NULL, 0}, other = {NULL, 0};
        struct seen seen = {.count = 0};
        char *text;

        (void)state;
        PEM_write_bio_X509(pem, block);
        BIO_write(pem, "", 1);
        BIO_get_mem_data(pem, &text);
        anchors_know(text, der, (size_t)len);
        anchors_know("no block", der, (size_t)len);
        assert_int_equal(bundle_add_bytes(&b, text, strlen(text)), 1);
        anchors_each(&b, see, &seen);
        assert_seen(&seen, 0, told);
        anchors_add(store, &b);
        assert_verdict(store, make_leaf("Told", MBSTRING_UTF8, 1), X509_V_OK);

        text[strlen("-----BEGIN CERTIFICATE-----")] = ' ';
        assert_int_equal(bundle_add_bytes(&other, text, strlen(text)), 1);
        seen.count = 0;
        anchors_each(&other, see, &seen);
        assert_true(seen.count == 0 || seen.len[0] != (size_t)len ||
                    memcmp(seen.der[0], der, (size_t)len) != 0);
        for (int i = 0; i < seen.count; i++)
                OPENSSL_free(seen.der[i]);
        BIO_free(pem);
        bundle_fini(&b);
        bundle_fini(&other);
        OPENSSL_free(der);
        X509_STORE_free(store);
        X509_free(block);
        X509_free(told);
}

/* The table is full, whoever filled it: what comes now is trusted all the same. */
static void test_more_than_the_table_holds(void **state)
{
        static const unsigned char serial[] = {2, 4, 1, 2, 3, 4};
        X509 *filler = make_root("Filler", MBSTRING_UTF8, 0),
             *last = make_root("Last", MBSTRING_UTF8, 1);
        X509_STORE *store = X509_STORE_new();
        unsigned char *der = NULL;
        int len = i2d_X509(filler, &der);
        unsigned char *at = memmem(der, (size_t)len, serial, sizeof serial);
        BIO *pem = BIO_new(BIO_s_mem());
        struct bundle b = {NULL, 0};
        char *text;

        (void)state;
        assert_non_null(at);
        for (unsigned i = 0; i < MANY; i++) {
                at[4] = (unsigned char)(i >> 8);
                at[5] = (unsigned char)i;
                PEM_write_bio(pem, PEM_STRING_X509, "", der, len);
        }
        PEM_write_bio_X509(pem, last);
        long size = BIO_get_mem_data(pem, &text);
        assert_int_equal(bundle_add_bytes(&b, text, (size_t)size), MANY + 1);
        anchors_add(store, &b);
        assert_true(decoded_in(store) > 0);
        assert_verdict(store, make_leaf("Last", MBSTRING_UTF8, 1), X509_V_OK);
        BIO_free(pem);
        bundle_fini(&b);
        OPENSSL_free(der);
        X509_STORE_free(store);
        X509_free(filler);
        X509_free(last);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_only_what_is_asked_for),
                cmocka_unit_test(test_two_of_a_name),
                cmocka_unit_test(test_names_written_otherwise),
                cmocka_unit_test(test_bundle_after_bundle),
                cmocka_unit_test(test_what_is_no_certificate),
                cmocka_unit_test(test_each_in_der),
                cmocka_unit_test(test_what_is_known_is_not_decoded),
                cmocka_unit_test(test_more_than_the_table_holds), /* last: it fills the table */
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
