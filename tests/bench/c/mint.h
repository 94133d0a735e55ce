/* mint.h - a leaf certificate for a host name, signed by a CA key. */
#ifndef BENCH_MINT_H
#define BENCH_MINT_H
#include "common.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* ca may be NULL: then only the issuer's name is made up (for measuring). */
static inline X509 *mint_leaf(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *host)
{
        X509 *x = X509_new();
        X509_NAME *subject = X509_get_subject_name(x);
        char san[160];
        X509_set_version(x, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x), (long)(now_ns() & 0x7fffffffffff));
        X509_gmtime_adj(X509_getm_notBefore(x), -86400);
        X509_gmtime_adj(X509_getm_notAfter(x), 86400 * 30);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const void *)host, -1, -1, 0);
        X509_set_issuer_name(x, ca ? X509_get_subject_name(ca) : subject);
        X509_set_pubkey(x, key);
        snprintf(san, sizeof san, "DNS:%s", host);
        const int nid[] = {NID_subject_alt_name, NID_ext_key_usage, NID_basic_constraints};
        const char *val[] = {san, "serverAuth", "CA:FALSE"};
        for (int i = 0; i < 3; i++) {
                X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid[i], val[i]);
                X509_add_ext(x, e, -1);
                X509_EXTENSION_free(e);
        }
        if (!X509_sign(x, ca_key, EVP_sha256()))
                die("cannot sign a leaf");
        return x;
}
#endif
