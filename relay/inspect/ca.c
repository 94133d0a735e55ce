/* ca.c: the CA of one run. Owns its keys, which exist in this process's memory only, and the cache
 * of leafs. What a certificate looks like is leaf.c's business. Used by handshake.c and trust's
 * export (for the certificate). */
#define OPENSSL_SUPPRESS_DEPRECATED /* for new_leaf_key() alone */
#include "inspect/ca.h"
#include "inspect/leaf.h"
#include "record/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

enum {
        CACHE_CAP = 1024,
        KEY_CAP = 2 + 2 * EVP_MAX_MD_SIZE + 1 + 256, /* kind, origin's digest, name */
};

struct leaf {
        UT_hash_handle hh;
        char *key;  /* owned */
        X509 *cert; /* owned */
};

struct ca {
        EVP_PKEY *key, *leaf_ec, *leaf_rsa; /* owned; leaf_rsa NULL until needed */
        X509 *cert;                         /* owned */
        pthread_t rsa_maker;                /* running or to be joined, if rsa_begun */
        bool rsa_begun, rsa_joined;
        atomic_bool rsa_made; /* the thread has nothing more to do */
        struct leaf *leafs;   /* owned; longest unused first */
};

/* A key in OpenSSL's older form. X509_set_pubkey(3) takes that as it is, while one of EVP_EC_gen()
 * is written out and read back for each certificate, which takes seven times as long as signing it.
 */
static EVP_PKEY *new_leaf_key(void)
{
        EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
        EVP_PKEY *key = EVP_PKEY_new();

        if (ec && key && EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(key, ec))
                return key;
        EC_KEY_free(ec);
        EVP_PKEY_free(key);
        return NULL;
}

struct ca *ca_new(void)
{
        struct ca *ca = calloc(1, sizeof *ca);

        if (!ca)
                return NULL;
        ca->key = EVP_EC_gen("P-256");
        ca->leaf_ec = new_leaf_key();
        ca->cert = ca->key ? leaf_make_ca(ca->key) : NULL;
        if (ca->leaf_ec && ca->cert)
                return ca;
        ca_free(ca);
        return NULL;
}

static void leaf_free(struct leaf *leaf)
{
        X509_free(leaf->cert);
        free(leaf->key);
        free(leaf);
}

static void drop_leaf(struct ca *ca, struct leaf *leaf)
{
        HASH_DEL(ca->leafs, leaf);
        leaf_free(leaf);
}

static void join_rsa(struct ca *ca)
{
        if (!ca->rsa_begun || ca->rsa_joined)
                return;
        pthread_join(ca->rsa_maker, NULL);
        ca->rsa_joined = true;
}

void ca_free(struct ca *ca)
{
        if (!ca)
                return;
        while (ca->leafs)
                drop_leaf(ca, ca->leafs);
        join_rsa(ca);
        X509_free(ca->cert);
        EVP_PKEY_free(ca->key);
        EVP_PKEY_free(ca->leaf_ec);
        EVP_PKEY_free(ca->leaf_rsa);
        free(ca);
}

X509 *ca_certificate(const struct ca *ca)
{
        return ca->cert;
}

/* One name may be served with different certificates, so the origin's digest is part of the key. */
static void cache_key(char *out, size_t cap, const char *name, const X509 *origin, unsigned flags)
{
        unsigned char digest[EVP_MAX_MD_SIZE];
        char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
        unsigned len = 0;

        if (origin && X509_digest(origin, EVP_sha256(), digest, &len))
                for (unsigned i = 0; i < len; i++)
                        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        snprintf(out, cap, "%c%s/%s", "erlx"[flags], hex, name);
}

static void *make_rsa(void *arg)
{
        struct ca *ca = arg;

        ca->leaf_rsa = EVP_RSA_gen(2048);
        atomic_store(&ca->rsa_made, true);
        return NULL;
}

bool ca_prepare_rsa(struct ca *ca)
{
        if (!ca->rsa_begun && pthread_create(&ca->rsa_maker, NULL, make_rsa, ca) == 0)
                ca->rsa_begun = true;
        return !ca->rsa_begun || atomic_load(&ca->rsa_made);
}

static EVP_PKEY *leaf_key(struct ca *ca, bool rsa)
{
        if (!rsa)
                return ca->leaf_ec;
        ca_prepare_rsa(ca);
        join_rsa(ca);
        return ca->leaf_rsa;
}

/* Takes it over, also on failure. Behind all others: the table is in order of use. */
static struct leaf *put_leaf(struct ca *ca, struct leaf *leaf)
{
        HASH_ADD_KEYPTR(hh, ca->leafs, leaf->key, strlen(leaf->key), leaf);
        if (leaf->hh.tbl)
                return leaf;
        leaf_free(leaf);
        return NULL;
}

/* Takes cert over, also on failure. */
static struct leaf *keep_leaf(struct ca *ca, const char *key, X509 *cert)
{
        struct leaf *leaf = calloc(1, sizeof *leaf);
        char *copy = strdup(key);

        if (!leaf || !copy) {
                free(leaf);
                free(copy);
                X509_free(cert);
                return NULL;
        }
        leaf->key = copy;
        leaf->cert = cert;
        if (HASH_COUNT(ca->leafs) >= CACHE_CAP)
                drop_leaf(ca, ca->leafs);
        return put_leaf(ca, leaf);
}

static struct leaf *get_leaf(struct ca *ca, const char *name, X509 *origin, EVP_PKEY *key,
                             unsigned flags)
{
        char cached_as[KEY_CAP];
        struct leaf *leaf;

        cache_key(cached_as, sizeof cached_as, name, origin, flags);
        HASH_FIND_STR(ca->leafs, cached_as, leaf);
        if (leaf) {
                HASH_DEL(ca->leafs, leaf);
                return put_leaf(ca, leaf);
        }
        X509 *cert = leaf_make(ca->cert, ca->key, key, name, origin, !(flags & LEAF_LAX));
        return cert ? keep_leaf(ca, cached_as, cert) : NULL;
}

int ca_use_leaf(struct ca *ca, SSL *ssl, const char *name, X509 *origin, unsigned flags)
{
        EVP_PKEY *key = leaf_key(ca, flags & LEAF_RSA);
        struct leaf *leaf = key ? get_leaf(ca, name, origin, key, flags) : NULL;

        if (leaf && SSL_use_cert_and_key(ssl, leaf->cert, key, NULL, 1) == 1)
                return 0;
        ERR_clear_error();
        return -EIO;
}
