/* pump.c: moves plaintext between two finished TLS handshakes and shows it to the recorder. One
 * chunk per direction and no reading while it is full, so memory is bounded and a slow reader
 * slows the writer. Every kind of end is passed on as it came: close_notify, FIN, FIN without
 * close_notify (a truncation), RST. Called through intercept_drive. */
#include "inspect/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

/* Moved in one call at most: about a millisecond's work, so that other flows have their turn. */
enum { TURN_BYTES = 1 << 20 };

static struct end *other_end(struct intercept *ic, const struct end *end)
{
        return end == &ic->client ? &ic->origin : &ic->client;
}

static void note_first(struct intercept *ic, const struct end *end)
{
        if (!ic->first)
                ic->first = end->name;
        if (ic->spoken)
                return;
        /* A client that leaves without a word, right after the handshake, may not trust us. */
        if (ic->first == ic->client.name)
                handshake_client_left(ic);
        else
                handshake_client_accepted(ic);
}

static void close_reset(struct intercept *ic, const struct end *by, int error)
{
        note_first(ic, by);
        session_close(ic, by, "reset",
                      by == &ic->client ? "client reset the connection"
                                        : "origin reset the connection",
                      error, other_end(ic, by));
}

static void close_eof(struct intercept *ic)
{
        bool client = ic->first == ic->client.name;

        session_close(ic, client ? &ic->client : &ic->origin, "eof",
                      client ? "client closed" : "origin closed", 0, NULL);
}

/* A TLS error: an alert from there, or bytes that do not decrypt. The other side must not take
 * what it has for complete. */
static void close_error(struct intercept *ic, const struct end *by)
{
        const struct lane *to = by == &ic->client ? &ic->server_to_client : &ic->client_to_server;
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        char text[200];

        note_first(ic, by);
        /* The other side is gone already; this one complains, say, that no close_notify came. */
        if (to->shut) {
                close_eof(ic);
                return;
        }
        snprintf(text, sizeof text, "TLS error on the %s's side: %s", by->name,
                 reason ? reason : "unknown");
        session_close(ic, by, "error", text, 0, other_end(ic, by));
}

static void lane_release(struct intercept *ic, struct lane *lane)
{
        if (lane->data)
                inspector_give_chunk(ic->inspector, lane->data);
        lane->data = NULL;
        lane->at = lane->len = 0;
}

void pump_release(struct intercept *ic)
{
        lane_release(ic, &ic->client_to_server);
        lane_release(ic, &ic->server_to_client);
}

static void observe(struct intercept *ic, const struct lane *lane)
{
        ic->spoken = true;
        handshake_client_accepted(ic);
        if (!ic->recorder)
                return;
        if (lane == &ic->client_to_server)
                recorder_client(ic->recorder, lane->data, lane->len);
        else
                recorder_server(ic->recorder, lane->data, lane->len);
}

/* A close() while our close_notify lies unread makes the kernel send RST. Both directions have
 * ended in order then and nothing was lost: that counts as a FIN. */
static bool is_late_reset(struct intercept *ic, const struct lane *lane)
{
        const struct lane *other =
                lane == &ic->client_to_server ? &ic->server_to_client : &ic->client_to_server;

        return lane->ended && other->notified;
}

/* Nothing to read now: is it for now, or for ever? */
static bool stream_ended(struct intercept *ic, struct lane *lane)
{
        const struct wire *w = &lane->from->wire;

        if ((w->error || (w->eof && w->broken)) && !is_late_reset(ic, lane)) {
                /* First what came before it. */
                if (!wire_flush(&lane->to->wire) && !lane->to->wire.broken)
                        return false;
                close_reset(ic, lane->from, w->error ? w->error : w->broken);
                return true;
        }
        if (!w->eof && !w->error)
                return false;
        note_first(ic, lane->from);
        lane->fin = true;
        return true;
}

/* Whether SSL_read can do more than say that it has to wait, which takes it as long as decrypting
 * a short record. In init it is while a message between records (a ticket, new keys) is unfinished.
 */
static bool may_read(const struct end *end)
{
        return wire_may_read(&end->wire) || SSL_has_pending(end->ssl) || SSL_in_init(end->ssl);
}

/* Returns true if something has changed. */
static bool lane_read(struct intercept *ic, struct lane *lane)
{
        if (!may_read(lane->from))
                return stream_ended(ic, lane);
        if (!lane->data && !(lane->data = inspector_take_chunk(ic->inspector))) {
                session_close(ic, lane->from, "error", "out of memory", ENOMEM, NULL);
                return true;
        }
        int n = SSL_read(lane->from->ssl, lane->data, INSPECTOR_CHUNK);
        if (n > 0) {
                lane->len = (size_t)n;
                observe(ic, lane);
                return true;
        }
        switch (SSL_get_error(lane->from->ssl, n)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
                return stream_ended(ic, lane);
        case SSL_ERROR_ZERO_RETURN:
                note_first(ic, lane->from);
                lane->ended = true;
                if (ic->recorder && lane == &ic->server_to_client)
                        recorder_server_eof(ic->recorder);
                return true;
        default:
                close_error(ic, lane->from);
                return true;
        }
}

/* The reader is gone. Its last words may still be on their way: the other lane reads them, and
 * then the reset. */
static void lane_die(struct intercept *ic, struct lane *lane)
{
        lane->dead = true;
        lane_release(ic, lane);
}

static bool lane_write(struct intercept *ic, struct lane *lane, size_t *moved)
{
        int n = SSL_write(lane->to->ssl, lane->data + lane->at, (int)(lane->len - lane->at));
        if (n > 0) {
                lane->at += (size_t)n;
                *moved += (size_t)n;
                if (lane->at == lane->len)
                        lane->at = lane->len = 0;
                return true;
        }
        int error = SSL_get_error(lane->to->ssl, n);
        if (lane->to->wire.broken)
                lane_die(ic, lane);
        else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                close_error(ic, lane->to);
        else
                return false;
        return true;
}

static bool lane_notify(struct lane *lane)
{
        int result = SSL_shutdown(lane->to->ssl);

        if (result < 0 && SSL_get_error(lane->to->ssl, result) == SSL_ERROR_WANT_WRITE &&
            !lane->to->wire.broken)
                return false;
        lane->notified = true;
        return true;
}

/* After close_notify no byte counts any more, only whether FIN or RST follows. */
static bool lane_await_fin(struct intercept *ic, struct lane *lane)
{
        return wire_drain(&lane->from->wire) && stream_ended(ic, lane);
}

static bool lane_shut(struct lane *lane)
{
        if (!wire_flush(&lane->to->wire))
                return false;
        shutdown(lane->to->wire.fd, SHUT_WR);
        pcap_leg_end(lane->to->wire.capture, false);
        return lane->shut = true;
}

/* One thing that can be done for this direction. Returns true if something has changed. */
static bool lane_step(struct intercept *ic, struct lane *lane, size_t *moved)
{
        if (lane->dead || lane->shut)
                return false;
        if (lane->to->wire.broken) {
                lane_die(ic, lane);
                return true;
        }
        if (lane->len)
                return lane_write(ic, lane, moved);
        if (!lane->ended && !lane->fin)
                return lane_read(ic, lane);
        if (lane->ended && !lane->notified)
                return lane_notify(lane);
        if (!lane->fin)
                return lane_await_fin(ic, lane);
        return lane_shut(lane);
}

/* Nothing will move any more: both directions have ended, or one has and the other is dead. */
static void close_when_done(struct intercept *ic)
{
        const struct lane *up = &ic->client_to_server, *down = &ic->server_to_client;
        const struct lane *dead = up->dead ? up : down;

        if (!(up->dead || up->shut) || !(down->dead || down->shut))
                return;
        if (dead->dead)
                close_reset(ic, dead->to, dead->to->wire.broken);
        else
                close_eof(ic);
}

static bool step(struct intercept *ic, size_t *moved)
{
        bool changed = lane_step(ic, &ic->client_to_server, moved);

        if (ic->phase == PHASE_PUMP)
                changed |= lane_step(ic, &ic->server_to_client, moved);
        if (ic->phase == PHASE_PUMP)
                close_when_done(ic);
        return changed;
}

static void cork(struct intercept *ic)
{
        wire_cork(&ic->client.wire, ic->inspector->corks[0]);
        wire_cork(&ic->origin.wire, ic->inspector->corks[1]);
}

static void uncork(struct intercept *ic)
{
        wire_uncork(&ic->client.wire);
        wire_uncork(&ic->origin.wire);
}

void pump_drive(struct intercept *ic)
{
        size_t moved = 0;
        bool changed = true;

        ERR_clear_error();
        cork(ic);
        while (changed && ic->phase == PHASE_PUMP && moved < TURN_BYTES) {
                changed = step(ic, &moved);
                /* What was collected goes out when there is nothing more to collect, and whether
                 * it could may change what is to be done. */
                if (!changed && ic->phase == PHASE_PUMP) {
                        wire_flush(&ic->client.wire);
                        wire_flush(&ic->origin.wire);
                        changed = step(ic, &moved);
                }
        }
        uncork(ic);
        if (ic->phase != PHASE_PUMP)
                return;
        ic->has_more = changed;
        /* An idle connection holds no buffer. */
        if (!ic->client_to_server.len)
                lane_release(ic, &ic->client_to_server);
        if (!ic->server_to_client.len)
                lane_release(ic, &ic->server_to_client);
}

static bool lane_is_over(const struct lane *lane)
{
        return lane->ended || lane->fin || lane->dead;
}

bool pump_is_half_ended(const struct intercept *ic)
{
        return lane_is_over(&ic->client_to_server) || lane_is_over(&ic->server_to_client);
}

void pump_expire(struct intercept *ic)
{
        bool client = ic->first == ic->client.name;

        session_close(ic, client ? &ic->client : &ic->origin, "error",
                      "one side had ended and nothing more came from the other", ETIMEDOUT,
                      client ? &ic->client : &ic->origin);
}
