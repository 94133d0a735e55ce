/* origin.c: the origin's handshake: repeats what the client asked for, verifies whom it reaches,
 * and says so in the record before the client is answered. On any doubt the connection passes
 * through. Called through handshake.c. */
#include "inspect/session.h"
#include "inspect/staple.h"
#include "inspect/tls_event.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

static int verify_name(SSL *ssl, const char *name)
{
        X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
        unsigned char address[sizeof(struct in6_addr)];

        if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
                return X509_VERIFY_PARAM_set1_ip_asc(param, name);
        /* Only alternative names count for the stricter clients, so only they count here. */
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        return X509_VERIFY_PARAM_set1_host(param, name, 0);
}

/* The roots that count for this client. Borrowed from its SSL object. */
static X509_STORE *roots_of(const struct intercept *ic)
{
        X509_STORE *own = NULL;

        if (SSL_get0_verify_cert_store(ic->origin.ssl, &own) == 1 && own)
                return own;
        return SSL_CTX_get_cert_store(ic->inspector->origin_ctx);
}

static bool repeat_hello(SSL *ssl, const struct hello *hello)
{
        return SSL_set_min_proto_version(ssl, hello->min_version) &&
               SSL_set_max_proto_version(ssl, hello->max_version) &&
               (!*hello->sni || SSL_set_tlsext_host_name(ssl, hello->sni)) &&
               (!hello->wants_status || SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp)) &&
               (!hello->alpn_len ||
                SSL_set_alpn_protos(ssl, hello->alpn, (unsigned)hello->alpn_len) == 0);
}

/* Everything that the origin's certificate is verified for and that it is asked, as one word. */
static char *resume_key(const struct intercept *ic)
{
        const struct hello *hello = &ic->hello;
        char alpn[2 * sizeof hello->alpn + 1] = "", *key;

        for (size_t i = 0; i < hello->alpn_len; i++)
                snprintf(alpn + 2 * i, 3, "%02x", hello->alpn[i]);
        if (asprintf(&key, "%s:%u %s %x-%x %d %s", session_name(ic), ic->port, hello->sni,
                     hello->min_version, hello->max_version, hello->wants_status, alpn) < 0)
                return NULL;
        return key;
}

static void resume(struct intercept *ic, SSL *ssl)
{
        SSL_SESSION *session;

        ic->resume_key = resume_key(ic);
        session = ic->resume_key ? resume_get(ic->inspector->resume, ic->resume_key) : NULL;
        if (session)
                SSL_set_session(ssl, session);
}

void handshake_begin_origin(struct intercept *ic)
{
        bool prepared = ic->roots || inspector_prepare(ic->inspector) == 0;
        SSL *ssl = prepared ? session_ssl_new(ic, ic->inspector->origin_ctx, &ic->origin) : NULL;

        ic->origin.ssl = ssl;
        /* What the client did not say, we do not say either: the origin may answer differently. */
        if (!ssl || !verify_name(ssl, session_name(ic)) || !repeat_hello(ssl, &ic->hello)) {
                session_pass_by_choice(ic,
                                       "the client's hello could not be repeated to the origin");
                return;
        }
        if (!ic->hello.takes_ecdsa)
                ca_prepare_rsa(ic->inspector->ca);
        client_certs_use(ic->inspector->client_certs, session_name(ic), ssl);
        resume(ic, ssl);
        SSL_set_connect_state(ssl);
        ic->phase = PHASE_ORIGIN;
}

/* While the client is suspended nobody reads from it, yet it may give up. */
static bool client_gave_up(struct intercept *ic)
{
        struct wire *w = &ic->client.wire;
        char byte;
        ssize_t n = w->may_read ? recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 1;

        if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)))
                return false;
        session_close(ic, &ic->client, n ? "reset" : "eof",
                      "client ended while the origin's handshake was under way", n ? errno : 0,
                      n ? &ic->origin : NULL);
        return true;
}

static void describe_failure(struct intercept *ic, char *out, size_t cap)
{
        const struct wire *w = &ic->origin.wire;
        unsigned long code = ERR_peek_error();
        const char *reason = code ? ERR_reason_error_string(code) : NULL;

        if (w->error || w->broken)
                snprintf(out, cap, "the origin broke its handshake off: %s",
                         strerror(w->error ? w->error : w->broken));
        else if (w->eof)
                snprintf(out, cap, "the origin closed during its handshake");
        else if (ic->origin.alert >= 0)
                snprintf(out, cap, "the origin ended its handshake with the alert \"%s\"",
                         SSL_alert_desc_string_long(ic->origin.alert));
        else
                snprintf(out, cap, "the origin's handshake failed: %s",
                         reason ? reason : "unknown");
}

static void origin_failed(struct intercept *ic)
{
        struct tls_event what = {.end = &ic->origin, .result = "failed"};
        long verdict = SSL_get_verify_result(ic->origin.ssl);
        char error[200];

        if (ic->resume_key)
                resume_drop(ic->inspector->resume, ic->resume_key);
        what.error = error;
        if (verdict != X509_V_OK) {
                what.verify = X509_verify_cert_error_string(verdict);
                snprintf(error, sizeof error, "the origin's certificate is not accepted: %s",
                         what.verify);
        } else {
                describe_failure(ic, error, sizeof error);
        }
        session_pass(ic, &what);
}

/* What the client would have refused had it seen the origin's stapled answer, or the lack of one:
 * it shall see it. Returns true if so. */
static bool is_refused_by_staple(struct intercept *ic)
{
        static const char *const words[] = {
                [STAPLE_MISSING] =
                        "its certificate promises a stapled OCSP answer, and there is none",
                [STAPLE_REVOKED] = "certificate revoked",
                [STAPLE_UNUSABLE] = "its stapled OCSP answer cannot be verified",
        };
        X509_STORE *store = roots_of(ic);
        struct tls_event what = {.end = &ic->origin, .result = "failed"};
        char error[200];

        if (!ic->hello.wants_status || SSL_session_reused(ic->origin.ssl))
                return false;
        what.verify = words[staple_judge(ic->origin.ssl, store)];
        if (!what.verify)
                return false;
        snprintf(error, sizeof error, "the origin's certificate is not accepted: %s", what.verify);
        what.error = error;
        session_pass(ic, &what);
        return true;
}

/* Hold the answer to the client back until its flight is complete. */
static void begin_client(struct intercept *ic)
{
        X509 *theirs = SSL_get0_peer_certificate(ic->origin.ssl);
        struct tls_event what = {.end = &ic->origin, .result = "ok"};

        /* Of a resumed session nothing was verified now, but then. */
        if (theirs && !*ic->subject)
                tls_event_keep_names(ic, theirs,
                                     sk_X509_num(SSL_get_peer_cert_chain(ic->origin.ssl)));
        if (is_refused_by_staple(ic))
                return;
        tls_event_write(ic, &what);
        pcap_leg_ready(ic->origin.wire.capture);
        if (ca_use_leaf(ic->inspector->ca, ic->client.ssl, session_name(ic), theirs,
                        (ic->hello.takes_ecdsa ? 0 : LEAF_RSA) | (ic->lax ? LEAF_LAX : 0)) < 0) {
                session_pass_by_choice(ic, "no certificate could be made for the client");
                return;
        }
        ic->client.wire.mode = WIRE_HOLD;
        ic->answer = true;
        ic->phase = PHASE_CLIENT;
}

/* Give the origin's handshake the client's own roots, as far as they are known by now; it stands
 * where they are needed. Returns false if there will be more at once. */
static bool use_roots(struct intercept *ic)
{
        if (ic->roots_pending(ic->roots_ctx))
                return false;
        X509_STORE *store = ic->roots(ic->roots_ctx);
        SSL_set1_verify_cert_store(ic->origin.ssl,
                                   store ? store : trust_store(ic->inspector->trust));
        ic->has_roots = true;
        return true;
}

/* The certificate of a resumed session was verified for another client, maybe with other roots. */
static long verify_again(struct intercept *ic)
{
        SSL *ssl = ic->origin.ssl;
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        X509_STORE *roots = roots_of(ic);
        long verdict = X509_V_ERR_OUT_OF_MEM;

        if (ctx && X509_STORE_CTX_init(ctx, roots, SSL_get0_peer_certificate(ssl),
                                       SSL_get_peer_cert_chain(ssl))) {
                X509_STORE_CTX_set_default(ctx, "ssl_server");
                X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx), SSL_get0_param(ssl));
                X509_verify_cert(ctx);
                verdict = X509_STORE_CTX_get_error(ctx);
        }
        X509_STORE_CTX_free(ctx);
        return verdict;
}

static void origin_ready(struct intercept *ic)
{
        ic->waiting = !ic->hello.takes_ecdsa && !ca_prepare_rsa(ic->inspector->ca);
        if (ic->waiting)
                return;
        if (SSL_session_reused(ic->origin.ssl) && ic->roots) {
                if (!ic->has_roots && !use_roots(ic))
                        return;
                long verdict = verify_again(ic);
                if (verdict != X509_V_OK) {
                        SSL_set_verify_result(ic->origin.ssl, verdict);
                        origin_failed(ic);
                        return;
                }
        }
        begin_client(ic);
}

void handshake_origin(struct intercept *ic)
{
        const struct wire *w = &ic->origin.wire;
        int result, error;

        if (client_gave_up(ic))
                return;
        do {
                ERR_clear_error();
                result = SSL_do_handshake(ic->origin.ssl);
                error = SSL_get_error(ic->origin.ssl, result);
        } while (error == SSL_ERROR_WANT_RETRY_VERIFY && use_roots(ic));
        if (error == SSL_ERROR_WANT_RETRY_VERIFY)
                return;
        if (ic->wants_certificate)
                session_pass_by_choice(ic, "the origin asks for a certificate of the client's");
        else if (result == 1)
                origin_ready(ic);
        else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                origin_failed(ic);
        else if (w->eof || w->error || w->broken)
                origin_failed(ic);
}
