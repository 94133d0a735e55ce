/* anchors.c: owns what has been read of all roots of this process, and the lookup by which a store
 * gets at them; see anchors.h. A PEM block is turned into DER once, and found again by its text;
 * its name is read when it joins a store, and its certificate decoded when that name is first asked
 * for. Bundles themselves are bundle.c. */
#include "inspect/anchors.h"
#include "record/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>

/* Shared by all stores: the bundles of one machine hold the same roots. Never freed. */
struct anchor {
        unsigned char *der; /* owned, OPENSSL_free() */
        size_t len;
        X509_NAME *subject; /* owned; NULL: in no store yet */
        X509 *cert;         /* owned; NULL: not decoded yet, or it cannot be */
        UT_hash_handle hh;
        char block[]; /* the key: its PEM block, without a NUL */
};

enum { ANCHORS_MAX = 4096 };

static struct anchor *anchors;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* stores are made by a thread, too */

/* ---- names ---- */

/* Go past one element, or with a tag into it. Returns false if it is not there. */
static bool step(const unsigned char **at, const unsigned char *end, int into)
{
        const unsigned char *content = *at;
        long len = 0;
        int tag = 0, class = 0;

        /* 0x80 is an error, 1 an indefinite length, which DER has not. */
        if ((ASN1_get_object(&content, &len, &tag, &class, (long)(end - *at)) & 0x81) != 0)
                return false;
        if (into && tag != into)
                return false;
        *at = into ? content : content + len;
        return true;
}

static bool has_version(const unsigned char *at, const unsigned char *end)
{
        return at < end && *at == (V_ASN1_CONTEXT_SPECIFIC | V_ASN1_CONSTRUCTED);
}

/* RFC 5280 section 4.1: Certificate, TBSCertificate; [0] version, serial number, algorithm, issuer
 * and validity stand before the subject. The caller frees it; NULL: there is none. */
static X509_NAME *subject_of(const unsigned char *der, size_t len)
{
        const unsigned char *at = der, *end = der + len;
        X509_NAME *name = NULL;
        bool good = step(&at, end, V_ASN1_SEQUENCE);

        good = good && step(&at, end, V_ASN1_SEQUENCE);
        if (good && has_version(at, end))
                good = step(&at, end, 0);
        for (int i = 0; good && i < 4; i++)
                good = step(&at, end, 0);
        if (good)
                name = d2i_X509_NAME(NULL, &at, (long)(end - at));
        ERR_clear_error();
        return name;
}

/* ---- the table ---- */

/* Of a block's end, which holds some of the signature: all of a block would take as long as to
 * decode it. */
static unsigned hash_of(const char *block, size_t block_len)
{
        enum { TAIL = 96 };
        size_t from = block_len > TAIL ? block_len - TAIL : 0;
        unsigned hash;

        HASH_VALUE(block + from, block_len - from, hash);
        return hash;
}

static struct anchor *anchor_find(const char *block, size_t block_len)
{
        unsigned hash = hash_of(block, block_len);
        struct anchor *known;

        HASH_FIND_BYHASHVALUE(hh, anchors, block, block_len, hash, known);
        return known;
}

/* Takes der, unless it returns NULL: there is no room, or no memory. Called with the lock. */
static struct anchor *anchor_new(const char *block, size_t block_len, unsigned char *der,
                                 size_t len)
{
        struct anchor *a =
                HASH_COUNT(anchors) < ANCHORS_MAX ? calloc(1, sizeof *a + block_len) : NULL;
        unsigned hash;

        if (!a)
                return NULL;
        hash = hash_of(block, block_len);
        memcpy(a->block, block, block_len);
        a->der = der;
        a->len = len;
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, anchors, a->block, block_len, hash, a);
        if (a->hh.tbl)
                return a;
        free(a);
        return NULL;
}

/* The one of a block, made if need be. Where none can be, it returns NULL and der, which the caller
 * frees with OPENSSL_free(), or no der: it is no PEM. Called with the lock. */
static struct anchor *anchor_of(const char *block, size_t block_len, unsigned char **der,
                                size_t *len)
{
        struct anchor *a = anchor_find(block, block_len);

        *der = NULL;
        if (a || !(*der = bundle_decode(block, block_len, len)))
                return a;
        return anchor_new(block, block_len, *der, *len);
}

void anchors_know(const char *pem, const unsigned char *der, size_t len)
{
        size_t block_len = bundle_block_len(pem);
        unsigned char *copy;

        pthread_mutex_lock(&lock);
        copy = block_len && !anchor_find(pem, block_len) ? OPENSSL_memdup(der, len) : NULL;
        if (copy && !anchor_new(pem, block_len, copy, len))
                OPENSSL_free(copy);
        pthread_mutex_unlock(&lock);
}

void anchors_each(const struct bundle *b, void (*each)(void *, const unsigned char *, size_t),
                  void *ctx)
{
        size_t block_len;

        pthread_mutex_lock(&lock);
        for (const char *at = bundle_first(b, &block_len); at; at = bundle_next(at, &block_len)) {
                unsigned char *der;
                size_t len;
                struct anchor *a = anchor_of(at, block_len, &der, &len);

                if (a || der)
                        each(ctx, a ? a->der : der, a ? a->len : len);
                if (!a)
                        OPENSSL_free(der);
        }
        pthread_mutex_unlock(&lock);
}

/* ---- the lookup of a store ---- */

struct set {
        struct anchor **list; /* owned; what it points to is not */
        size_t count, cap;
};

static int set_new(X509_LOOKUP *lookup)
{
        struct set *set = calloc(1, sizeof *set);

        X509_LOOKUP_set_method_data(lookup, set);
        return set != NULL;
}

static void set_free(X509_LOOKUP *lookup)
{
        struct set *set = X509_LOOKUP_get_method_data(lookup);

        if (set)
                free(set->list);
        free(set);
}

/* Without memory it is left out: less is trusted, never more. */
static void set_add(struct set *set, struct anchor *a)
{
        if (set->count == set->cap) {
                size_t cap = set->cap ? set->cap * 2 : 256;
                struct anchor **list = realloc(set->list, cap * sizeof *list);

                if (!list)
                        return;
                set->list = list;
                set->cap = cap;
        }
        set->list[set->count++] = a;
}

/* All of a name go into the store, which asks only once. Returns how many. */
static int find(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name,
                X509_OBJECT *found)
{
        const struct set *set = X509_LOOKUP_get_method_data(lookup);
        int count = 0;

        if (type != X509_LU_X509)
                return 0;
        pthread_mutex_lock(&lock);
        for (size_t i = 0; i < set->count; i++) {
                struct anchor *a = set->list[i];
                const unsigned char *at = a->der;

                if (X509_NAME_cmp(a->subject, name) != 0)
                        continue;
                if (!a->cert)
                        a->cert = d2i_X509_AUX(NULL, &at, (long)a->len);
                if (!a->cert || !X509_STORE_add_cert(X509_LOOKUP_get_store(lookup), a->cert))
                        continue;
                if (count++ == 0)
                        X509_OBJECT_set1_X509(found, a->cert);
        }
        pthread_mutex_unlock(&lock);
        return count > 0;
}

static X509_LOOKUP_METHOD *method;

static void make_method(void)
{
        method = X509_LOOKUP_meth_new("trust anchors"); /* for as long as the process lives */
        if (!method)
                return;
        X509_LOOKUP_meth_set_new_item(method, set_new);
        X509_LOOKUP_meth_set_free(method, set_free);
        X509_LOOKUP_meth_set_get_by_subject(method, find);
}

static struct set *set_of(X509_STORE *store)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, make_method);
        /* A store's second one of a method is its first: X509_STORE_add_lookup(3). */
        X509_LOOKUP *lookup = method ? X509_STORE_add_lookup(store, method) : NULL;
        return lookup ? X509_LOOKUP_get_method_data(lookup) : NULL;
}

/* There is no room in the table, or no sense in it. Takes der. */
static void add_at_once(X509_STORE *store, unsigned char *der, size_t len)
{
        const unsigned char *at = der;
        X509 *cert = d2i_X509_AUX(NULL, &at, (long)len);

        if (cert)
                X509_STORE_add_cert(store, cert);
        X509_free(cert);
        OPENSSL_free(der);
}

/* Called with the lock. */
static void add(X509_STORE *store, struct set *set, const char *block, size_t block_len)
{
        unsigned char *der;
        size_t len;
        struct anchor *a = anchor_of(block, block_len, &der, &len);

        if (a && !a->subject)
                a->subject = subject_of(a->der, a->len);
        if (a && a->subject)
                set_add(set, a);
        else if (!a && der)
                add_at_once(store, der, len);
}

void anchors_add(X509_STORE *store, const struct bundle *b)
{
        struct set *set = set_of(store);
        size_t len;

        pthread_mutex_lock(&lock);
        for (const char *at = set ? bundle_first(b, &len) : NULL; at; at = bundle_next(at, &len))
                add(store, set, at, len);
        pthread_mutex_unlock(&lock);
        ERR_clear_error();
}
