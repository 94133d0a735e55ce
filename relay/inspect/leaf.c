/* leaf.c: builds certificates (RFC 5280) that every client of docs/inspection.md accepts, CPython
 * 3.13's strict mode and rustls included: that is why each extension below is there and has the
 * criticality it has. Used by ca.c, which owns the keys and the cache. */
#include "inspect/leaf.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum {
        DAY = 86400,
        CN_CAP = 64,     /* ub-common-name, RFC 5280 appendix A.1 */
        NAMES_CAP = 256, /* more of the origin's names than this would make every handshake long */
        SERIAL_BYTES = 16, /* 127 random bits; RFC 5280 allows 20 bytes */
};

/* Positive and never zero: the top bit is off, the next one on. */
static int set_serial(X509 *cert)
{
        unsigned char bytes[SERIAL_BYTES];
        BIGNUM *number = NULL;
        int ok = RAND_bytes(bytes, sizeof bytes);

        bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
        ok = ok == 1 && (number = BN_bin2bn(bytes, sizeof bytes, NULL)) != NULL &&
             BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
        BN_free(number);
        return ok;
}

static int add_name(X509_NAME *name, const char *key, const char *value)
{
        return X509_NAME_add_entry_by_txt(name, key, MBSTRING_UTF8, (const unsigned char *)value,
                                          -1, -1, 0);
}

/* value is one of our own constants: OpenSSL's configuration syntax must never see input. */
static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
        X509V3_CTX ctx;

        X509V3_set_ctx_nodb(&ctx);
        X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        int ok = extension && X509_add_ext(cert, extension, -1);
        X509_EXTENSION_free(extension);
        return ok;
}

static X509 *begin(EVP_PKEY *key)
{
        X509 *cert = X509_new();

        if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
            X509_set_pubkey(cert, key))
                return cert;
        X509_free(cert);
        return NULL;
}

static int name_ca(X509 *cert)
{
        X509_NAME *name = X509_get_subject_name(cert);
        char host[256] = "", stamp[32] = "", cn[CN_CAP + 1];
        time_t now = time(NULL);
        struct tm tm;

        gethostname(host, sizeof host - 1);
        if (gmtime_r(&now, &tm))
                strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
        /* "tapline CA ", a host of up to 31 and the time of 20 fit in 64. */
        snprintf(cn, sizeof cn, "tapline CA %.31s %.20s", host, stamp);
        return add_name(name, "O", "tapline") && add_name(name, "CN", cn) &&
               X509_set_issuer_name(cert, name);
}

X509 *leaf_make_ca(EVP_PKEY *key)
{
        X509 *cert = begin(key);

        if (cert && name_ca(cert) && X509_gmtime_adj(X509_getm_notBefore(cert), -DAY) &&
            X509_gmtime_adj(X509_getm_notAfter(cert), 2 * DAY) &&
            add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
            add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
            add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
            X509_sign(cert, key, EVP_sha256()))
                return cert;
        X509_free(cert);
        return NULL;
}

static int push_copy(GENERAL_NAMES *names, const GENERAL_NAME *name)
{
        GENERAL_NAME *copy = GENERAL_NAME_dup((GENERAL_NAME *)name);

        if (copy && sk_GENERAL_NAME_push(names, copy) > 0)
                return 1;
        GENERAL_NAME_free(copy);
        return 0;
}

/* Copy the origin's DNS names and addresses. Returns how many, 0 also when there are too many. */
static int mirror_names(GENERAL_NAMES *names, const X509 *origin)
{
        GENERAL_NAMES *theirs = X509_get_ext_d2i(origin, NID_subject_alt_name, NULL, NULL);
        int count = sk_GENERAL_NAME_num(theirs), copied = 0;

        for (int i = 0; i < count && count <= NAMES_CAP; i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(theirs, i);
                if (name->type == GEN_DNS || name->type == GEN_IPADD)
                        copied += push_copy(names, name);
        }
        GENERAL_NAMES_free(theirs);
        return copied;
}

static ASN1_STRING *own_value(const char *name, int *type)
{
        ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);

        *type = address ? GEN_IPADD : GEN_DNS;
        if (address)
                return address;
        ASN1_IA5STRING *dns = ASN1_IA5STRING_new();
        if (dns && ASN1_STRING_set(dns, name, -1))
                return dns;
        ASN1_IA5STRING_free(dns);
        return NULL;
}

static int push_own(GENERAL_NAMES *names, const char *name)
{
        int type;
        ASN1_STRING *value = own_value(name, &type);
        GENERAL_NAME *general = GENERAL_NAME_new();

        if (!value || !general || !sk_GENERAL_NAME_push(names, general)) {
                ASN1_STRING_free(value);
                GENERAL_NAME_free(general);
                return 0;
        }
        GENERAL_NAME_set0_value(general, type, value);
        return 1;
}

static int set_names(X509 *cert, const char *name, X509 *origin)
{
        GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
        int ok = names && ((origin && mirror_names(names, origin) > 0) || push_own(names, name)) &&
                 X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;

        GENERAL_NAMES_free(names);
        return ok;
}

/* A name that does not fit CN is in the alternative names only, where clients look. */
static int set_subject(X509 *cert, const char *name)
{
        X509_NAME *subject = X509_get_subject_name(cert);

        return add_name(subject, "O", "inspected by tapline") &&
               (strlen(name) > CN_CAP || add_name(subject, "CN", name));
}

/* The CA's own days: it lives for less than any limit that clients set, and leafs must not
 * outlive it. No AIA, CRL or OCSP: a dead URL stalls clients that ask. */
static int set_life(X509 *cert, X509 *issuer)
{
        return X509_set1_notBefore(cert, X509_get0_notBefore(issuer)) &&
               X509_set1_notAfter(cert, X509_get0_notAfter(issuer));
}

X509 *leaf_make(X509 *issuer, EVP_PKEY *issuer_key, EVP_PKEY *key, const char *name, X509 *origin,
                bool strict)
{
        X509 *cert = begin(key);
        const char *usage = EVP_PKEY_is_a(key, "RSA") ? "critical,digitalSignature,keyEncipherment"
                                                      : "critical,digitalSignature";

        if (cert && X509_set_issuer_name(cert, X509_get_subject_name(issuer)) &&
            set_subject(cert, name) && set_life(cert, issuer) &&
            add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
            add_extension(cert, issuer, NID_key_usage, usage) &&
            add_extension(cert, issuer, NID_ext_key_usage, "serverAuth") &&
            add_extension(cert, issuer, NID_subject_key_identifier, "hash") &&
            (!strict ||
             add_extension(cert, issuer, NID_authority_key_identifier, "keyid:always")) &&
            set_names(cert, name, origin) && X509_sign(cert, issuer_key, EVP_sha256()))
                return cert;
        X509_free(cert);
        return NULL;
}
