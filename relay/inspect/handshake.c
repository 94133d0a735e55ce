/* handshake.c: from a client's first byte to its hello, and to the decision to pass the connection
 * through. Order: sniff and hello here, the origin's handshake with its verification in origin.c,
 * the client's in client.c. Until our first flight to the client is complete nothing has been sent,
 * so that every doubt before ends in INTERCEPT_PASS. What moves afterwards is pump.c's. */
#include "inspect/session.h"
#include "inspect/tls_event.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>

enum { RECORD_HANDSHAKE = 0x16, RECORD_MAJOR = 0x03 };

/* ---- passing through ---- */

void session_pass(struct intercept *ic, const struct tls_event *what)
{
        snprintf(ic->reason, sizeof ic->reason, "%s", what->error);
        ic->end.reason = ic->reason;
        ic->phase = PHASE_PASSED;
        tls_event_write(ic, what);
}

void session_pass_silently(struct intercept *ic, const char *reason)
{
        snprintf(ic->reason, sizeof ic->reason, "%s", reason);
        ic->end.reason = ic->reason;
        ic->phase = PHASE_PASSED;
}

void session_pass_by_choice(struct intercept *ic, const char *reason)
{
        struct tls_event what = {.end = &ic->origin, .result = "passed", .error = reason};

        session_pass(ic, &what);
}

/* ---- sniff and hello ---- */

SSL *session_ssl_new(struct intercept *ic, SSL_CTX *ctx, struct end *end)
{
        SSL *ssl = SSL_new(ctx);
        BIO *bio = ssl ? wire_bio(&end->wire, ic->inspector->wire) : NULL;

        if (!bio) {
                SSL_free(ssl);
                return NULL;
        }
        SSL_set_bio(ssl, bio, bio);
        if (SSL_set_app_data(ssl, ic))
                return ssl;
        SSL_free(ssl); /* without it no callback knows whose it is */
        return NULL;
}

static void begin_hello(struct intercept *ic)
{
        ic->client.ssl = session_ssl_new(ic, ic->inspector->client_ctx, &ic->client);
        if (!ic->client.ssl) {
                session_pass_by_choice(ic, "out of memory");
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
                session_pass_silently(ic, "client ended before its hello was complete");
        return w->error || w->eof;
}

void handshake_sniff(struct intercept *ic)
{
        struct wire *w = &ic->client.wire;

        while (w->kept_len < 2 && looks_like_tls(w) && wire_fill(w))
                continue;
        if (!looks_like_tls(w))
                session_pass_silently(ic, "not TLS");
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

void handshake_hello(struct intercept *ic)
{
        ERR_clear_error();
        int result = SSL_do_handshake(ic->client.ssl);
        int error = SSL_get_error(ic->client.ssl, result);

        if (error == SSL_ERROR_WANT_CLIENT_HELLO_CB) {
                const char *refusal = refuse_hello(ic);
                if (refusal)
                        session_pass_by_choice(ic, refusal);
                else
                        handshake_begin_origin(ic);
        } else if (error != SSL_ERROR_WANT_READ) {
                session_pass_by_choice(ic, "the client's hello cannot be read");
        } else {
                client_gone(ic);
        }
}

/* ---- deadline ---- */

void handshake_expire(struct intercept *ic)
{
        switch (ic->phase) {
        case PHASE_SNIFF:
        case PHASE_HELLO:
                session_pass_silently(ic, "the client's hello did not come to its end");
                break;
        case PHASE_ORIGIN:
                session_close(ic, &ic->origin, "error", "the origin's handshake took too long",
                              ETIMEDOUT, &ic->client);
                break;
        case PHASE_CLIENT:
                session_report_client(ic, "the client's handshake took too long");
                session_close(ic, &ic->client, "error", "the client's handshake took too long",
                              ETIMEDOUT, &ic->origin);
                break;
        case PHASE_PUMP:
        case PHASE_PASSED:
        case PHASE_CLOSED:
                break;
        }
}
