/* tls_event.c: writes the tls events of intercepted connections. Used by handshake.c. */
#include "inspect/tls_event.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <openssl/x509v3.h>

/* By its name; by its number where this OpenSSL is older than the alert. */
static void add_alert(struct event *e, int alert)
{
        const char *name = SSL_alert_desc_string_long(alert);
        char number[32];

        snprintf(number, sizeof number, "alert %d", alert);
        event_str(e, "alert", strcmp(name, "unknown") == 0 ? number : name);
}

static void add_alpn(struct event *e, SSL *ssl)
{
        const unsigned char *name;
        unsigned len;

        SSL_get0_alpn_selected(ssl, &name, &len);
        if (len)
                event_strn(e, "alpn", (const char *)name, len);
}

/* What was agreed on; nothing before the handshake is through. */
static void add_parameters(struct event *e, SSL *ssl)
{
        if (!ssl || !SSL_is_init_finished(ssl))
                return;
        add_alpn(e, ssl);
        event_str(e, "version", SSL_get_version(ssl));
        event_str(e, "cipher", SSL_get_cipher_name(ssl));
}

static void add_text(struct event *e, const char *key, const char *text)
{
        event_str(e, key, *text ? text : NULL);
}

/* What tells why a certificate was refused, and what would help. */
static void add_certificate(struct event *e, const struct intercept *ic)
{
        add_text(e, "names", ic->names);
        add_text(e, "not_before", ic->not_before);
        add_text(e, "not_after", ic->not_after);
        add_text(e, "issuer_url", ic->issuer_url);
        add_text(e, "missing", ic->missing);
        add_text(e, "missing_issuer", ic->missing_issuer);
        event_int(e, "chain", ic->chain_len);
}

void tls_event_write(const struct intercept *ic, const struct tls_event *what)
{
        bool origin = what->end == &ic->origin;
        struct event e;

        if (!record_is_kept(ic->inspector->record))
                return;
        event_begin(&e, EVENT_TLS, &ic->who, ic->flow);
        event_str(&e, "side", origin ? "origin" : "client");
        event_str(&e, "result", what->result);
        if (*ic->hello.sni)
                event_str(&e, "sni", ic->hello.sni);
        add_parameters(&e, what->end->ssl);
        if (origin && what->end->ssl && SSL_session_reused(what->end->ssl))
                event_bool(&e, "resumed", true);
        event_str(&e, "error", what->error);
        event_str(&e, "verify", what->verify);
        if (what->end->alert >= 0)
                add_alert(&e, what->end->alert);
        if (origin && *ic->subject) {
                event_str(&e, "issuer", ic->issuer);
                event_str(&e, "subject", ic->subject);
                if (what->verify)
                        add_certificate(&e, ic);
        }
        event_str(&e, "lax", ic->lax);
        event_str(&e, "note", what->note);
        record_write(ic->inspector->record, &e);
}

/* As RFC 4514 writes it, with UTF-8 kept readable; cut at the end when it is too long. */
static void print_name(char *out, size_t cap, const X509_NAME *name)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *data;

        *out = '\0';
        if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
                long len = BIO_get_mem_data(bio, &data);
                snprintf(out, cap, "%.*s", (int)len, data);
        }
        BIO_free(bio);
}

static void print_time(char *out, size_t cap, const ASN1_TIME *time)
{
        struct tm tm;

        *out = '\0';
        if (ASN1_TIME_to_tm(time, &tm) == 1)
                strftime(out, cap, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Host names and addresses, as far as there is room. */
static void print_names(char *out, size_t cap, const X509 *cert)
{
        GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
        size_t used = 0;

        *out = '\0';
        for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
                int type;
                const ASN1_STRING *name =
                        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &type);
                int len = type == GEN_DNS ? ASN1_STRING_length(name) : 0;

                if (len <= 0 || used + (size_t)len + 3 > cap)
                        continue;
                used += (size_t)snprintf(out + used, cap - used, "%s%.*s", used ? ", " : "", len,
                                         (const char *)ASN1_STRING_get0_data(name));
        }
        GENERAL_NAMES_free(all);
}

static bool is_http(const ASN1_STRING *url)
{
        const char *text = (const char *)ASN1_STRING_get0_data(url);
        int len = ASN1_STRING_length(url);

        return (len > 7 && strncasecmp(text, "http://", 7) == 0) ||
               (len > 8 && strncasecmp(text, "https://", 8) == 0);
}

/* Authority information access (RFC 5280 section 4.2.2.1): the first caIssuers that can be fetched
 * (Windows' CAs name a directory by ldap: before it). */
static void print_issuer_url(char *out, size_t cap, const X509 *cert)
{
        AUTHORITY_INFO_ACCESS *all = X509_get_ext_d2i(cert, NID_info_access, NULL, NULL);

        *out = '\0';
        for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(all) && !*out; i++) {
                const ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(all, i);
                const ASN1_STRING *url = one->location->d.uniformResourceIdentifier;

                if (OBJ_obj2nid(one->method) == NID_ad_ca_issuers &&
                    one->location->type == GEN_URI && is_http(url))
                        snprintf(out, cap, "%.*s", ASN1_STRING_length(url),
                                 (const char *)ASN1_STRING_get0_data(url));
        }
        AUTHORITY_INFO_ACCESS_free(all);
}

/* The name of whoever has issued the issuer's certificate (RFC 5280 section 4.2.1.1), which is
 * optional and which few public CAs write. */
static void print_issuers_issuer(char *out, size_t cap, const X509 *cert)
{
        AUTHORITY_KEYID *key = X509_get_ext_d2i(cert, NID_authority_key_identifier, NULL, NULL);
        const GENERAL_NAMES *names = key ? key->issuer : NULL;

        *out = '\0';
        for (int i = 0; i < sk_GENERAL_NAME_num(names) && !*out; i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

                if (name->type == GEN_DIRNAME)
                        print_name(out, cap, name->d.directoryName);
        }
        AUTHORITY_KEYID_free(key);
}

void tls_event_keep_names(struct intercept *ic, const X509 *cert, int chain_len)
{
        if (!record_is_kept(ic->inspector->record))
                return;
        print_name(ic->issuer, sizeof ic->issuer, X509_get_issuer_name(cert));
        print_name(ic->subject, sizeof ic->subject, X509_get_subject_name(cert));
        print_time(ic->not_before, sizeof ic->not_before, X509_get0_notBefore(cert));
        print_time(ic->not_after, sizeof ic->not_after, X509_get0_notAfter(cert));
        print_names(ic->names, sizeof ic->names, cert);
        print_issuer_url(ic->issuer_url, sizeof ic->issuer_url, cert);
        ic->chain_len = chain_len;
}

void tls_event_keep_missing(struct intercept *ic, const X509 *last)
{
        if (!record_is_kept(ic->inspector->record))
                return;
        print_name(ic->missing, sizeof ic->missing, X509_get_issuer_name(last));
        print_issuers_issuer(ic->missing_issuer, sizeof ic->missing_issuer, last);
        print_issuer_url(ic->issuer_url, sizeof ic->issuer_url, last);
}
