/* TLS to a proxy; see bridge.h for the context and bridge_tls.h for the rest. */
#include "net/bridge_tls.h"
#include "inspect/anchors.h"
#include "net/bridge.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BUFFER = 65536 }; /* four records at a time */

static BIO_METHOD *method;

static void make_method(void)
{
        method = wire_method_new(); /* for as long as the process lives */
}

static bool load_roots(SSL_CTX *ctx, const char *ca)
{
        struct bundle system = {NULL, 0};

        if (ca != NULL)
                return SSL_CTX_load_verify_file(ctx, ca) == 1;
        /* OpenSSL's own variables count as they do for every program that uses it. */
        if (getenv("SSL_CERT_FILE") != NULL || getenv("SSL_CERT_DIR") != NULL)
                return SSL_CTX_set_default_verify_paths(ctx) == 1;
        if (bundle_add_system(&system) == 0)
                anchors_add(SSL_CTX_get_cert_store(ctx), &system);
        bundle_fini(&system);
        return true; /* without roots no proxy is believed, which its handshake will say */
}

SSL_CTX *bridge_context_new(const char *ca, char *why, size_t cap)
{
        static const unsigned char http1[] = "\x08http/1.1";
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

        if (ctx == NULL || !load_roots(ctx, ca)) {
                const char *reason = ERR_reason_error_string(ERR_peek_last_error());

                snprintf(why, cap, "%s", reason != NULL ? reason : "out of memory");
                SSL_CTX_free(ctx);
                ERR_clear_error();
                return NULL;
        }
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_read_ahead(ctx, 1);
        SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_alpn_protos(ctx, http1, sizeof http1 - 1);
        ERR_clear_error();
        return ctx;
}

static int verify_host(SSL *ssl, const char *host)
{
        X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
        unsigned char address[sizeof(struct in6_addr)];

        if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
                return X509_VERIFY_PARAM_set1_ip_asc(param, host);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        return X509_VERIFY_PARAM_set1_host(param, host, 0) && SSL_set_tlsext_host_name(ssl, host);
}

SSL *bridge_tls_new(SSL_CTX *ctx, struct wire *wire, const char *host)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
        BIO *bio;

        pthread_once(&once, make_method);
        bio = ssl != NULL && method != NULL ? wire_bio(wire, method) : NULL;
        if (bio == NULL || !verify_host(ssl, host)) {
                BIO_free(bio);
                SSL_free(ssl);
                return NULL;
        }
        SSL_set_bio(ssl, bio, bio);
        SSL_set_connect_state(ssl);
        return ssl;
}

void bridge_tls_failure(const SSL *ssl, const struct wire *wire, char *out, size_t cap)
{
        long verdict = SSL_get_verify_result(ssl);
        const char *reason = ERR_reason_error_string(ERR_peek_error());

        if (verdict != X509_V_OK)
                snprintf(out, cap, "its certificate is not accepted: %s",
                         X509_verify_cert_error_string(verdict));
        else if (wire->error || wire->broken)
                snprintf(out, cap, "it broke the handshake off: %s",
                         strerror(wire->error ? wire->error : wire->broken));
        else if (wire->eof)
                snprintf(out, cap, "it closed during the handshake");
        else
                snprintf(out, cap, "%s", reason != NULL ? reason : "the handshake failed");
        ERR_clear_error();
}
