/* callbacks.c: what OpenSSL asks and tells during handshakes; see handshake.h. Each finds its
 * connection in the SSL object's application data, notes something there, and decides nothing else.
 */
#include "inspect/handshake.h"
#include "inspect/session.h"
#include "inspect/tls_event.h"

#include <openssl/x509v3.h>

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

/* What is an error in X509_verify_cert(3) with X509_V_FLAG_X509_STRICT alone. */
static bool is_strictness(const X509_STORE_CTX *store)
{
        const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
        int depth = X509_STORE_CTX_get_error_depth(store);

        switch (X509_STORE_CTX_get_error(store)) {
        case X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA:
        case X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN:
        case X509_V_ERR_CA_BCONS_NOT_CRITICAL:
        case X509_V_ERR_CA_CERT_MISSING_KEY_USAGE:
        case X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA:
        case X509_V_ERR_ISSUER_NAME_EMPTY:
        case X509_V_ERR_SUBJECT_NAME_EMPTY:
        case X509_V_ERR_EMPTY_SUBJECT_ALT_NAME:
        case X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL:
        case X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH:
        case X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY:
        case X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL:
        case X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL:
        case X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER:
        case X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER:
        case X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3:
                return true;
        case X509_V_ERR_INVALID_CA: /* a root of version 1, say; never one in between */
                return depth == sk_X509_num(chain) - 1 &&
                       X509_check_ca(sk_X509_value(chain, depth)) > 1;
        default:
                return false;
        }
}

/* Whether the program is strict is not known: it gets a leaf that shows (ca_use_leaf). */
static int take_as_lax(struct intercept *ic, X509_STORE_CTX *store)
{
        if (!ic->lax)
                ic->lax = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
}

int handshake_on_verify(int ok, X509_STORE_CTX *store)
{
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        struct intercept *ic = SSL_get_app_data(ssl);
        X509 *leaf = X509_STORE_CTX_get0_cert(store);

        if (!*ic->subject && leaf)
                tls_event_keep_names(ic, leaf, sk_X509_num(X509_STORE_CTX_get0_untrusted(store)));
        if (!ok && is_strictness(store))
                return take_as_lax(ic, store);
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

        /* A session's chain is not looked at again, and would pass for a strict one. */
        if (ic->resume_key && !ic->lax && SSL_get_verify_result(ssl) == X509_V_OK)
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
