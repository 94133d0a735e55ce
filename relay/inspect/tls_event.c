/* tls_event.c: writes the tls events of intercepted connections. Used by handshake.c. */
#include "inspect/tls_event.h"

#include <stdio.h>
#include <string.h>

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

void tls_event_write(const struct intercept *ic, const struct tls_event *what)
{
        bool origin = what->end == &ic->origin;
        struct event e;

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
                event_str(&e, "alert", SSL_alert_desc_string_long(what->end->alert));
        if (origin && *ic->subject) {
                event_str(&e, "issuer", ic->issuer);
                event_str(&e, "subject", ic->subject);
        }
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

void tls_event_keep_names(struct intercept *ic, const X509 *cert)
{
        print_name(ic->issuer, sizeof ic->issuer, X509_get_issuer_name(cert));
        print_name(ic->subject, sizeof ic->subject, X509_get_subject_name(cert));
}
