/* handshake.c: from a client's first byte to two finished handshakes, or to the decision to pass
 * the connection through. Order: sniff, hello, the origin's handshake with its verification, the
 * client's. Until our first flight to the client is complete nothing has been sent, so that every
 * doubt before ends in INTERCEPT_PASS. What moves afterwards is pump.c's. */
#include "inspect/handshake.h"
#include "inspect/session.h"
#include "inspect/tls_event.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

enum {
        RECORD_HANDSHAKE = 0x16,
        RECORD_MAJOR = 0x03,
        /* A client that drops us without a word does so at once; one that opens connections ahead
         * of need keeps them for longer (clients.md, rule of section 6). */
        SILENT_CLOSE_MS = 1000,
};

/* ---- callbacks ---- */

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

int handshake_on_verify(int ok, X509_STORE_CTX *store)
{
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        struct intercept *ic = SSL_get_app_data(ssl);
        X509 *leaf = X509_STORE_CTX_get0_cert(store);

        if (!*ic->subject && leaf)
                tls_event_keep_names(ic, leaf);
        return ok;
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

/* ---- passing through ---- */

static void pass(struct intercept *ic, const struct tls_event *what)
{
        snprintf(ic->reason, sizeof ic->reason, "%s", what->error);
        ic->end.reason = ic->reason;
        ic->phase = PHASE_PASSED;
        tls_event_write(ic, what);
}

static void pass_silently(struct intercept *ic, const char *reason)
{
        snprintf(ic->reason, sizeof ic->reason, "%s", reason);
        ic->end.reason = ic->reason;
        ic->phase = PHASE_PASSED;
}

static void pass_by_choice(struct intercept *ic, const char *reason)
{
        struct tls_event what = {.end = &ic->origin, .result = "passed", .error = reason};

        pass(ic, &what);
}

/* ---- sniff and hello ---- */

static SSL *ssl_new(struct intercept *ic, SSL_CTX *ctx, struct end *end)
{
        SSL *ssl = SSL_new(ctx);
        BIO *bio = ssl ? wire_bio(&end->wire, ic->inspector->wire) : NULL;

        if (!bio) {
                SSL_free(ssl);
                return NULL;
        }
        SSL_set_bio(ssl, bio, bio);
        SSL_set_app_data(ssl, ic);
        return ssl;
}

static void begin_hello(struct intercept *ic)
{
        ic->client.ssl = ssl_new(ic, ic->inspector->client_ctx, &ic->client);
        if (!ic->client.ssl) {
                pass_silently(ic, "out of memory");
                return;
        }
        SSL_set_accept_state(ic->client.ssl);
        ic->phase = PHASE_HELLO;
}

static bool looks_like_tls(const struct wire *w)
{
        const unsigned char *byte = (const unsigned char *)w->kept;

        return (w->kept_len < 1 || byte[0] == RECORD_HANDSHAKE) &&
               (w->kept_len < 2 || byte[1] == RECORD_MAJOR);
}

/* The client has ended or failed before anything was decided. Returns true if so. */
static bool client_gone(struct intercept *ic)
{
        struct wire *w = &ic->client.wire;

        if (w->error)
                session_close(ic, &ic->client, "reset",
                              "client reset before its hello was complete", w->error, &ic->origin);
        else if (w->eof)
                pass_silently(ic, "client ended before its hello was complete");
        return w->error || w->eof;
}

void handshake_sniff(struct intercept *ic)
{
        struct wire *w = &ic->client.wire;

        while (w->kept_len < 2 && looks_like_tls(w) && wire_fill(w))
                continue;
        if (!looks_like_tls(w))
                pass_silently(ic, "not TLS");
        else if (w->kept_len >= 2)
                begin_hello(ic);
        else
                client_gone(ic);
}

/* Decide from the hello alone. Returns a reason to pass it through, or NULL. */
static const char *refuse_hello(const struct intercept *ic)
{
        if (ic->hello_bad)
                return "the client's hello has a part that tapline does not understand";
        if (!ic->hello.max_version)
                return "the client offers no TLS version from 1.2 on";
        if (ic->hello.has_alpn && !ic->hello.alpn_len)
                return "the client offers no protocol that is inspected";
        if (inspector_is_distrusted(ic->inspector, session_name(ic)))
                return "a client has refused tapline's certificate for this name before";
        if (!session_name(ic))
                return "neither the name nor the address of the origin is known";
        return NULL;
}

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

static void begin_origin(struct intercept *ic)
{
        bool prepared = inspector_prepare(ic->inspector) == 0;
        SSL *ssl = prepared ? ssl_new(ic, ic->inspector->origin_ctx, &ic->origin) : NULL;
        const struct hello *hello = &ic->hello;

        ic->origin.ssl = ssl;
        /* What the client did not say, we do not say either: the origin may answer differently. */
        if (!ssl || !verify_name(ssl, session_name(ic)) ||
            !SSL_set_min_proto_version(ssl, hello->min_version) ||
            !SSL_set_max_proto_version(ssl, hello->max_version) ||
            (*hello->sni && !SSL_set_tlsext_host_name(ssl, hello->sni)) ||
            (hello->alpn_len &&
             SSL_set_alpn_protos(ssl, hello->alpn, (unsigned)hello->alpn_len) != 0)) {
                pass_by_choice(ic, "the client's hello could not be repeated to the origin");
                return;
        }
        SSL_set_connect_state(ssl);
        ic->phase = PHASE_ORIGIN;
}

void handshake_hello(struct intercept *ic)
{
        ERR_clear_error();
        int result = SSL_do_handshake(ic->client.ssl);
        int error = SSL_get_error(ic->client.ssl, result);

        if (error == SSL_ERROR_WANT_CLIENT_HELLO_CB) {
                const char *refusal = refuse_hello(ic);
                if (refusal)
                        pass_by_choice(ic, refusal);
                else
                        begin_origin(ic);
        } else if (error != SSL_ERROR_WANT_READ) {
                pass_by_choice(ic, "the client's hello cannot be read");
        } else {
                client_gone(ic);
        }
}

/* ---- the origin's side ---- */

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

        what.error = error;
        if (verdict != X509_V_OK) {
                what.verify = X509_verify_cert_error_string(verdict);
                snprintf(error, sizeof error, "the origin's certificate is not accepted: %s",
                         what.verify);
        } else {
                describe_failure(ic, error, sizeof error);
        }
        pass(ic, &what);
}

/* Hold the answer to the client back until its flight is complete. */
static void begin_client(struct intercept *ic)
{
        X509 *theirs = SSL_get0_peer_certificate(ic->origin.ssl);
        struct tls_event what = {.end = &ic->origin, .result = "ok"};

        tls_event_write(ic, &what);
        if (ca_use_leaf(ic->inspector->ca, ic->client.ssl, session_name(ic), theirs,
                        !ic->hello.takes_ecdsa) < 0) {
                pass_by_choice(ic, "no certificate could be made for the client");
                return;
        }
        ic->client.wire.mode = WIRE_HOLD;
        ic->answer = true;
        ic->phase = PHASE_CLIENT;
}

void handshake_origin(struct intercept *ic)
{
        const struct wire *w = &ic->origin.wire;

        if (client_gave_up(ic))
                return;
        ERR_clear_error();
        int result = SSL_do_handshake(ic->origin.ssl);
        int error = SSL_get_error(ic->origin.ssl, result);

        if (ic->wants_certificate)
                pass_by_choice(ic, "the origin asks for a certificate of the client's");
        else if (result == 1)
                begin_client(ic);
        else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                origin_failed(ic);
        else if (w->eof || w->error || w->broken)
                origin_failed(ic);
}

/* ---- the client's side ---- */

static bool is_distrust(int alert)
{
        switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA:
                return true;
        default:
                return false;
        }
}

static void report_client(struct intercept *ic, const char *error)
{
        struct tls_event what = {
                .end = &ic->client, .result = error ? "failed" : "ok", .error = error};

        if (ic->client_reported)
                return;
        ic->client_reported = true;
        tls_event_write(ic, &what);
}

static void report_distrust(struct intercept *ic, const char *error)
{
        report_client(ic, error);
        inspector_add_distrusted(ic->inspector, session_name(ic));
        /* The flow may know the connection by its name only. */
        inspector_add_distrusted(ic->inspector, ic->name);
}

void handshake_client_accepted(struct intercept *ic)
{
        report_client(ic, NULL);
}

void handshake_client_left(struct intercept *ic)
{
        if (ic->client_reported)
                return;
        if (is_distrust(ic->client.alert))
                report_distrust(ic, "the client refused the certificate with an alert");
        else if (session_now_ms() - ic->ready_ms < SILENT_CLOSE_MS)
                report_distrust(ic, "the client closed without sending a byte after the handshake");
        else
                report_client(ic, NULL);
}

/* The handshake failed in the reading of the hello: nobody has seen it, so the origin may. */
static void client_refused_by_us(struct intercept *ic)
{
        struct tls_event what = {.end = &ic->client, .result = "passed"};
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        char error[200];

        snprintf(error, sizeof error, "tapline cannot answer the client's hello: %s",
                 reason ? reason : "unknown");
        what.error = error;
        pass(ic, &what);
}

static void client_failed(struct intercept *ic)
{
        const struct wire *w = &ic->client.wire;
        int error = w->error ? w->error : w->broken;
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        char text[200];

        if (is_distrust(ic->client.alert)) {
                report_distrust(ic, "the client refused the certificate with an alert");
                session_close(ic, &ic->client, "error", "client refused the certificate", 0, NULL);
                return;
        }
        if (ic->client.alert >= 0 || (reason && !w->eof && !error)) {
                snprintf(text, sizeof text, "the client's handshake failed: %s",
                         reason ? reason : SSL_alert_desc_string_long(ic->client.alert));
                report_client(ic, text);
                session_close(ic, &ic->client, "error", text, 0, NULL);
                return;
        }
        report_distrust(ic,
                        "the client closed during the handshake after it was sent the certificate");
        session_close(ic, &ic->client, error ? "reset" : "eof",
                      "client closed during the handshake", error, error ? &ic->origin : NULL);
}

static void client_ready(struct intercept *ic)
{
        wire_open(&ic->client.wire);
        ic->ready_ms = session_now_ms();
        ic->phase = PHASE_PUMP;
}

void handshake_client(struct intercept *ic)
{
        struct wire *w = &ic->client.wire;

        ERR_clear_error();
        int result = SSL_do_handshake(ic->client.ssl);
        int error = SSL_get_error(ic->client.ssl, result);
        bool waiting = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;

        if (result == 1) {
                client_ready(ic);
        } else if (w->mode == WIRE_HOLD && !waiting) {
                client_refused_by_us(ic);
        } else if (waiting && !w->eof && !w->error && !w->broken) {
                /* Our flight is complete: from here on the client is ours. */
                wire_open(w);
        } else {
                wire_open(w);
                client_failed(ic);
        }
}

void handshake_expire(struct intercept *ic)
{
        switch (ic->phase) {
        case PHASE_SNIFF:
        case PHASE_HELLO:
                pass_silently(ic, "the client's hello did not come to its end");
                break;
        case PHASE_ORIGIN:
                session_close(ic, &ic->origin, "error", "the origin's handshake took too long",
                              ETIMEDOUT, &ic->client);
                break;
        case PHASE_CLIENT:
                report_client(ic, "the client's handshake took too long");
                session_close(ic, &ic->client, "error", "the client's handshake took too long",
                              ETIMEDOUT, &ic->origin);
                break;
        case PHASE_PUMP:
        case PHASE_PASSED:
        case PHASE_CLOSED:
                break;
        }
}
