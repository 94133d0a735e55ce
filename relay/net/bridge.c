/* TLS to a proxy behind a plain descriptor; see bridge.h. Handshake and moving of bytes. What the
 * bridge reads from the proxy it writes to near, whose other end (far) was given away. */
#include "net/bridge.h"
#include "inspect/wire.h"
#include "net/bridge_tls.h"
#include "net/pair.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
        CHUNK = 65536,
        BUDGET = 1 << 20,   /* bytes per turn, so that others get theirs */
        LINGER_MS = 600000, /* one direction has ended, and nothing comes in the other */
};

struct lane {
        char *data; /* owned; NULL when empty */
        size_t at, len;
        bool ended; /* its source has said that no more will come */
        bool shut;  /* and its sink was told */
};

struct bridge {
        struct bridge *prev, *next;
        struct loop *loop;        /* borrowed */
        struct watch proxy, near; /* their fds are owned */
        struct wire wire;
        SSL *ssl; /* owned */
        uv_timer_t timer;
        struct deferred again;
        bool open; /* the handshake is done */
        bool over;
        bool gone;            /* free it when the loop has let go of again */
        struct lane up, down; /* to the proxy, from the proxy */
        void (*done)(void *ctx, int fd, int error, const char *why);
        void *ctx;
};

static _Thread_local struct bridge *bridges;

static void timer_closed(uv_handle_t *handle)
{
        struct bridge *b = handle->data;

        b->gone = true;
        if (!b->again.queued)
                free(b);
}

static void close_watch(struct bridge *b, struct watch *w, bool abort)
{
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        int fd = w->fd;

        if (fd < 0)
                return;
        if (abort)
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        loop_remove(b->loop, w);
        close(fd);
}

/* Over and done; abort: both ends get a reset. */
static void end(struct bridge *b, bool abort)
{
        if (b->over)
                return;
        b->over = true;
        DL_DELETE(bridges, b);
        close_watch(b, &b->proxy, abort);
        close_watch(b, &b->near, abort);
        SSL_free(b->ssl);
        wire_fini(&b->wire);
        free(b->up.data);
        free(b->down.data);
        uv_close((uv_handle_t *)&b->timer, timer_closed);
}

void bridge_cancel(struct bridge *b)
{
        end(b, false);
}

void bridge_end_all(void)
{
        while (bridges != NULL)
                end(bridges, true);
        pair_forget();
}

/* ---- moving bytes ---- */

static void lane_idle(struct lane *lane)
{
        if (lane->len > 0)
                return;
        free(lane->data);
        lane->data = NULL;
}

static bool lane_room(struct lane *lane)
{
        if (lane->data == NULL)
                lane->data = malloc(CHUNK);
        lane->at = 0;
        return lane->data != NULL;
}

enum step { STEP_MOVED, STEP_WAIT, STEP_BROKEN };

static enum step read_near(struct bridge *b)
{
        struct lane *up = &b->up;
        ssize_t n;

        if (!lane_room(up))
                return STEP_BROKEN;
        n = recv(b->near.fd, up->data, CHUNK, 0);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? STEP_WAIT : STEP_BROKEN;
        up->len = (size_t)n;
        up->ended = n == 0;
        return STEP_MOVED;
}

static enum step write_proxy(struct bridge *b)
{
        struct lane *up = &b->up;
        int n, error;

        ERR_clear_error();
        n = SSL_write(b->ssl, up->data + up->at, (int)up->len);
        if (n <= 0) {
                error = SSL_get_error(b->ssl, n);
                return !b->wire.broken && (error == SSL_ERROR_WANT_WRITE ||
                                           error == SSL_ERROR_WANT_READ)
                               ? STEP_WAIT
                               : STEP_BROKEN;
        }
        up->at += (size_t)n;
        up->len -= (size_t)n;
        return STEP_MOVED;
}

/* close_notify, and then FIN, as TLS over TCP ends one direction (RFC 8446 section 6.1). */
static enum step shut_proxy(struct bridge *b)
{
        int n;

        ERR_clear_error();
        n = SSL_shutdown(b->ssl);
        if (b->wire.broken)
                return STEP_BROKEN;
        if (n < 0 && SSL_get_error(b->ssl, n) == SSL_ERROR_WANT_WRITE)
                return STEP_WAIT;
        shutdown(b->proxy.fd, SHUT_WR);
        b->up.shut = true;
        return STEP_MOVED;
}

static enum step move_up(struct bridge *b)
{
        if (b->up.len > 0)
                return write_proxy(b);
        if (!b->up.ended)
                return read_near(b);
        return b->up.shut ? STEP_WAIT : shut_proxy(b);
}

/* An end of the stream without close_notify may be anybody's doing: it is passed on as a reset. */
static enum step read_proxy(struct bridge *b)
{
        struct lane *down = &b->down;

        if (!lane_room(down))
                return STEP_BROKEN;
        while (down->len < CHUNK) {
                int n, error;

                ERR_clear_error();
                n = SSL_read(b->ssl, down->data + down->len, (int)(CHUNK - down->len));
                if (n > 0) {
                        down->len += (size_t)n;
                        continue;
                }
                error = SSL_get_error(b->ssl, n);
                if (error == SSL_ERROR_ZERO_RETURN)
                        down->ended = true;
                else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                        b->wire.error = EPROTO;
                break;
        }
        if (down->len > 0 || down->ended)
                return STEP_MOVED;
        return b->wire.error || b->wire.eof ? STEP_BROKEN : STEP_WAIT;
}

static enum step write_near(struct bridge *b)
{
        struct lane *down = &b->down;
        ssize_t n = send(b->near.fd, down->data + down->at, down->len, MSG_NOSIGNAL);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? STEP_WAIT : STEP_BROKEN;
        down->at += (size_t)n;
        down->len -= (size_t)n;
        return STEP_MOVED;
}

static enum step move_down(struct bridge *b)
{
        if (b->down.len > 0)
                return write_near(b);
        if (!b->down.ended)
                return read_proxy(b);
        if (b->down.shut)
                return STEP_WAIT;
        shutdown(b->near.fd, SHUT_WR);
        b->down.shut = true;
        return STEP_MOVED;
}

static void linger_over(uv_timer_t *timer)
{
        end(timer->data, true);
}

static void pump(struct bridge *b)
{
        enum step up = STEP_MOVED, down = STEP_MOVED;
        size_t steps = 0;

        while (up == STEP_MOVED || down == STEP_MOVED) {
                if (steps++ == BUDGET / CHUNK * 2) {
                        loop_defer(b->loop, &b->again);
                        break;
                }
                up = move_up(b);
                down = up == STEP_BROKEN ? STEP_BROKEN : move_down(b);
                if (down == STEP_BROKEN) {
                        end(b, true);
                        return;
                }
        }
        if (b->up.shut && b->down.shut) {
                end(b, false);
                return;
        }
        if (b->up.shut || b->down.shut)
                uv_timer_start(&b->timer, linger_over, LINGER_MS, 0);
        lane_idle(&b->up);
        lane_idle(&b->down);
}

static void run_again(struct deferred *d)
{
        struct bridge *b = (struct bridge *)((char *)d - offsetof(struct bridge, again));

        if (b->gone)
                free(b);
        else if (!b->over)
                pump(b);
}

/* ---- the handshake ---- */

static void failed(struct bridge *b, int error, const char *why)
{
        void (*done)(void *ctx, int fd, int error, const char *why) = b->done;
        void *ctx = b->ctx;

        end(b, false);
        done(ctx, -1, error, why);
}

static void near_ready(struct watch *w, uint32_t events)
{
        struct bridge *b = (struct bridge *)((char *)w - offsetof(struct bridge, near));

        (void)events;
        if (!b->over)
                pump(b);
}

static void shaken(struct bridge *b)
{
        int far, near, error = pair_open(&near, &far);

        if (error < 0) {
                failed(b, -error, "no connection over loopback could be made");
                return;
        }
        b->near = (struct watch){.ready = near_ready, .fd = near};
        if (loop_add(b->loop, &b->near) < 0) {
                b->near.fd = -1;
                close(near);
                close(far);
                failed(b, ENOMEM, "out of memory");
                return;
        }
        b->open = true;
        b->done(b->ctx, far, 0, NULL);
}

static void shake(struct bridge *b)
{
        int result, error;
        char why[256];

        ERR_clear_error();
        result = SSL_do_handshake(b->ssl);
        if (result == 1) {
                shaken(b);
                return;
        }
        error = SSL_get_error(b->ssl, result);
        if ((error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) && !b->wire.eof &&
            !b->wire.error && !b->wire.broken)
                return;
        bridge_tls_failure(b->ssl, &b->wire, why, sizeof why);
        failed(b,
               b->wire.error    ? b->wire.error
               : b->wire.broken ? b->wire.broken
                                : ECONNREFUSED,
               why);
}

static void proxy_ready(struct watch *w, uint32_t events)
{
        struct bridge *b = (struct bridge *)((char *)w - offsetof(struct bridge, proxy));

        if (b->over)
                return;
        wire_ready(&b->wire, events);
        if (!b->open)
                shake(b);
        if (!b->over && b->open)
                pump(b);
}

struct bridge *bridge_start(struct loop *loop, const struct bridge_setup *setup,
                            void (*done)(void *ctx, int fd, int error, const char *why), void *ctx)
{
        struct bridge *b = calloc(1, sizeof *b);

        if (b == NULL) {
                close(setup->fd);
                return NULL;
        }
        b->loop = loop;
        b->done = done;
        b->ctx = ctx;
        b->again.run = run_again;
        b->near.fd = -1;
        b->proxy = (struct watch){.ready = proxy_ready, .fd = setup->fd};
        uv_timer_init(loop_uv(loop), &b->timer);
        b->timer.data = b;
        DL_APPEND(bridges, b);
        wire_init(&b->wire, setup->fd, WIRE_OPEN);
        b->ssl = bridge_tls_new(setup->tls, &b->wire, setup->host);
        if (b->ssl != NULL && wire_preload(&b->wire, setup->early, setup->early_len) == 0 &&
            loop_add(loop, &b->proxy) == 0)
                return b;
        end(b, false);
        return NULL;
}
