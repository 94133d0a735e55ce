/* callbacks.c: what OpenSSL asks and tells during handshakes; see handshake.h. Each finds its
 * connection in the SSL object's application data, notes something there, and decides nothing else.
 */
#include "inspect/handshake.h"
#include "inspect/session.h"
#include "inspect/tls_event.h"

int handshake_on_hello(SSL *ssl, int *alert, void *inspector)
{
        struct intercept *ic = SSL_get_app_data(ssl);

        (void)inspector;
        (void)alert;
        if (ic->answer)
                return SSL_CLIENT_HELLO_SUCCESS;
        if (!ic->hello_read) {
                ic->hello_bad = hello_read(ssl, &ic->hello) < 0;
                ic->hello_read = true;
        }
        return SSL_CLIENT_HELLO_RETRY;
}

int handshake_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                      const unsigned char *in, unsigned in_len, void *inspector)
{
        struct intercept *ic = SSL_get_app_data(ssl);
        unsigned len;

        (void)in;
        (void)in_len;
        (void)inspector;
        SSL_get0_alpn_selected(ic->origin.ssl, out, &len);
        *out_len = (unsigned char)len;
        return len ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* The chain ends with a certificate whose issuer is nowhere to be found. */
static bool is_cut(const X509_STORE_CTX *store)
{
        int error = X509_STORE_CTX_get_error(store);

        return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
               error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT;
}

int handshake_on_verify(int ok, X509_STORE_CTX *store)
{
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        struct intercept *ic = SSL_get_app_data(ssl);
        X509 *leaf = X509_STORE_CTX_get0_cert(store);

        if (!*ic->subject && leaf)
                tls_event_keep_names(ic, leaf, sk_X509_num(X509_STORE_CTX_get0_untrusted(store)));
        if (!ok && is_cut(store))
                tls_event_keep_missing(ic, X509_STORE_CTX_get_current_cert(store));
        return ok;
}

int handshake_on_chain(X509_STORE_CTX *store, void *unused)
{
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        const struct intercept *ic = SSL_get_app_data(ssl);

        (void)unused;
        if (ic->roots && !ic->has_roots)
                return (int)SSL_set_retry_verify(ssl);
        return X509_verify_cert(store) > 0;
}

int handshake_on_certificate_request(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
        struct intercept *ic = SSL_get_app_data(ssl);

        (void)cert;
        (void)key;
        ic->wants_certificate = true;
        return -1;
}

void handshake_on_info(const SSL *ssl, int where, int value)
{
        struct intercept *ic = SSL_get_app_data(ssl);
        struct end *end = ssl == ic->client.ssl ? &ic->client : &ic->origin;

        if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
                end->alert = value & 0xff;
}

int handshake_on_session(SSL *ssl, SSL_SESSION *session)
{
        struct intercept *ic = SSL_get_app_data(ssl);

        if (ic->resume_key && SSL_get_verify_result(ssl) == X509_V_OK)
                resume_put(ic->inspector->resume, ic->resume_key, session);
        return 0;
}

void handshake_on_secret(const SSL *ssl, const char *line)
{
        struct intercept *ic = SSL_get_app_data(ssl);
        const struct end *end = ssl == ic->client.ssl ? &ic->client : &ic->origin;

        inspector_log_secret(ic->inspector, line);
        pcap_leg_secret(end->wire.capture, line);
}
