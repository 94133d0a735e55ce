/* client.c: the client's handshake with our leaf, and what its end says about trust (clients
 * differ: an alert, an end in the handshake, or an end right after it). */
#include "inspect/session.h"
#include "inspect/tls_event.h"

#include <stdio.h>

#include <openssl/err.h>

enum {
        /* A client that drops us without a word does so at once; one that opens connections ahead
         * of need keeps them for longer. */
        SILENT_CLOSE_MS = 1000,
        /* RFC 9849 section 11.3: the client has verified the outer name, and wants the inner one.
         */
        ALERT_ECH_REQUIRED = 121,
        READ_RECORDS = 8, /* at a time: a call of recv(2) costs more than decrypting one */
        READ_ALIGN = 3,   /* that OpenSSL leaves in front, so that plaintext is aligned */
};

static bool is_distrust(int alert)
{
        switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA:
        case SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE: /* it insists on a stapled answer */
                return true;
        default:
                return false;
        }
}

/* Why the next connection has to pass through, as an alert says it; or NULL. */
static const char *refusal(const struct intercept *ic)
{
        if (ic->client.alert == ALERT_ECH_REQUIRED)
                return "the client insists on its Encrypted ClientHello, which only the origin can "
                       "decrypt";
        return is_distrust(ic->client.alert) ? "the client refused the certificate with an alert"
                                             : NULL;
}

void session_report_client(struct intercept *ic, const char *error)
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
        session_report_client(ic, error);
        inspector_add_distrusted(ic->inspector, session_name(ic));
        /* The flow may know the connection by its name only. */
        inspector_add_distrusted(ic->inspector, ic->name);
}

void handshake_client_accepted(struct intercept *ic)
{
        session_report_client(ic, NULL);
}

void handshake_client_left(struct intercept *ic)
{
        if (ic->client_reported)
                return;
        if (refusal(ic) != NULL)
                report_distrust(ic, refusal(ic));
        else if (session_now_ms() - ic->ready_ms < SILENT_CLOSE_MS)
                report_distrust(ic, "the client closed without sending a byte after the handshake");
        else
                session_report_client(ic, NULL);
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
        session_pass(ic, &what);
}

static void client_failed(struct intercept *ic)
{
        const struct wire *w = &ic->client.wire;
        int error = w->error ? w->error : w->broken;
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        char text[200];

        if (refusal(ic) != NULL) {
                report_distrust(ic, refusal(ic));
                session_close(ic, &ic->client, "error", "client refused the certificate", 0, NULL);
                return;
        }
        if (ic->client.alert >= 0 || (reason && !w->eof && !error)) {
                snprintf(text, sizeof text, "the client's handshake failed: %s",
                         reason ? reason : SSL_alert_desc_string_long(ic->client.alert));
                session_report_client(ic, text);
                session_close(ic, &ic->client, "error", text, 0, NULL);
                return;
        }
        report_distrust(ic,
                        "the client closed during the handshake after it was sent the certificate");
        session_close(ic, &ic->client, error ? "reset" : "eof",
                      "client closed during the handshake", error, error ? &ic->origin : NULL);
}

/* OpenSSL reads ahead to the end of its buffer. Of a record that is cut there it then reads what is
 * missing, and no more, with a call of its own: so the buffer ends where a full record does. */
static void fit_read_buffer(SSL *ssl)
{
        size_t around = SSL_version(ssl) == TLS1_3_VERSION ? 5 + 1 + 16 : 5 + 8 + 16;

        SSL_set_default_read_buffer_len(ssl, READ_RECORDS * (SSL3_RT_MAX_PLAIN_LENGTH + around) +
                                                     READ_ALIGN);
}

static void client_ready(struct intercept *ic)
{
        fit_read_buffer(ic->client.ssl);
        fit_read_buffer(ic->origin.ssl);
        wire_open(&ic->client.wire);
        pcap_leg_ready(ic->client.wire.capture);
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
