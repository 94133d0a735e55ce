/* Getting to a target; see dial.h. The way: resolve (libuv's pool) -> race of addresses (race.c) ->
 * for each proxy of the chain TLS if it wants that (bridge.c) and its protocol (dial_http.c,
 * dial_socks.c). This file owns life, bytes and time; the first two steps are dial_connect.c. */
#include "net/dial_state.h"
#include "net/bridge.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
        TLS_MS = 30000,  /* a handshake with a proxy */
        REDIALS_MAX = 5, /* one for each scheme that a proxy may want, and one more */
};

static const struct dial_protocol *const protocols[] = {
        [HOP_HTTP] = &dial_http,      [HOP_HTTPS] = &dial_http,    [HOP_SOCKS4] = &dial_socks4,
        [HOP_SOCKS4A] = &dial_socks4, [HOP_SOCKS5] = &dial_socks5, [HOP_SOCKS5H] = &dial_socks5,
};

static void drop_out(struct dial *d)
{
        if (d->out != NULL)
                explicit_bzero(d->out, d->out_len);
        free(d->out);
        d->out = NULL;
        d->out_len = d->out_sent = 0;
}

static void release(struct dial *d)
{
        if (--d->handles > 0)
                return;
        for (size_t i = 0; i < UPSTREAM_HOPS_MAX; i++)
                auth_free(d->auths[i]);
        drop_out(d);
        wipe_free(d->authorization);
        free(d->name);
        free(d->head);
        free(d->in);
        free(d);
}

void dial_hold(struct dial *d)
{
        d->handles++;
}

void dial_release(struct dial *d)
{
        release(d);
}

static void bury(struct deferred *deferred)
{
        release((struct dial *)((char *)deferred - offsetof(struct dial, grave)));
}

static void drop_connection(struct dial *d)
{
        int fd = d->watch.fd;

        loop_remove(d->loop, &d->watch);
        if (fd >= 0)
                close(fd);
        if (d->race != NULL)
                race_cancel(d->race);
        d->race = NULL;
        if (d->tls != NULL)
                bridge_cancel(d->tls);
        d->tls = NULL;
}

/* Give up what can be given up now; memory goes when the turn is over, and libuv has let go of it.
 */
static void wind_up(struct dial *d)
{
        d->over = true;
        drop_connection(d);
        if (d->spare_fd >= 0)
                close(d->spare_fd);
        d->spare_fd = -1;
        uv_cancel((uv_req_t *)&d->lookup);
        loop_timer_give(d->loop, d->timer);
        d->grave.run = bury;
        loop_bury(d->loop, &d->grave);
}

void dial_cancel(struct dial *d)
{
        wind_up(d);
}

static int64_t clock_us(void)
{
        return (int64_t)(uv_hrtime() / 1000);
}

static void finish(struct dial *d)
{
        d->result.duration_us = clock_us() - d->start_us;
        d->result.hop = d->hop;
        d->result.tries = d->tries;
        d->result.proxy_head = d->head;
        d->result.proxy_head_len = d->head_len;
        d->result.after = d->in;
        d->result.after_len = d->in_len;
        wind_up(d);
        d->done(d->ctx, &d->result);
        if (d->result.kept_fd >= 0)
                close(d->result.kept_fd);
}

void dial_fail(struct dial *d, enum dial_stage stage, int error, const char *format, ...)
{
        va_list list;

        d->result.stage = stage;
        d->result.error = error;
        /* Whatever a proxy says of the next one in the chain, this choice is of no use. */
        if (d->hop != NULL && (d->hop->next != NULL || stage != DIAL_PROXY))
                d->result.down = true;
        va_start(list, format);
        vsnprintf(d->result.text, sizeof d->result.text, format, list);
        va_end(list);
        finish(d);
}

static void succeed(struct dial *d, int fd)
{
        d->result.stage = DIAL_DONE;
        d->result.fd = fd;
        finish(d);
}

/* The connection to the last proxy is the answer. */
static void hand_on(struct dial *d)
{
        int fd = d->watch.fd;

        loop_remove(d->loop, &d->watch);
        succeed(d, fd);
}

const char *dial_shown(const struct dial *d)
{
        return d->hop->shown;
}

void dial_goal(const struct dial *d, const char **host, uint16_t *port, char literal[64])
{
        const struct hop *next = d->hop->next;

        address_literal(&d->target, literal);
        *host = next != NULL ? next->host : d->name != NULL ? d->name : literal;
        *port = next != NULL ? next->port : d->port;
}

/* ---- time ---- */

static void timed_out(uv_timer_t *timer)
{
        struct dial *d = timer->data;

        if (d->over)
                return;
        if (d->found != NULL)
                dial_fail(d, DIAL_RESOLVE, ETIMEDOUT, "the name was not resolved in time");
        else if (d->tls != NULL)
                dial_fail(d, DIAL_CONNECT, ETIMEDOUT,
                          "the TLS handshake with the upstream proxy %s took more than %d s",
                          dial_shown(d), TLS_MS / 1000);
        else if (d->protocol != NULL)
                d->protocol->late(d);
}

void dial_limit(struct dial *d, uint64_t ms)
{
        uv_timer_start(d->timer, timed_out, ms, 0);
}

/* ---- bytes ---- */

static void flush(struct dial *d)
{
        while (d->out_sent < d->out_len) {
                ssize_t n = send(d->watch.fd, d->out + d->out_sent, d->out_len - d->out_sent,
                                 MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        d->protocol->ended(d, errno);
                        return;
                }
                d->out_sent += (size_t)n;
        }
        drop_out(d);
}

void dial_send(struct dial *d, const void *data, size_t len)
{
        drop_out(d);
        d->out = malloc(len);
        if (d->out == NULL) {
                dial_fail(d, DIAL_PROXY, ENOMEM, "out of memory");
                return;
        }
        memcpy(d->out, data, len);
        d->out_len = len;
        flush(d);
}

void dial_use(struct dial *d, size_t n)
{
        d->in_len -= n;
        memmove(d->in, d->in + n, d->in_len);
}

static bool in_room(struct dial *d)
{
        size_t cap = d->in_cap != 0 ? d->in_cap * 2 : 4096;
        char *more;

        if (d->in_len < d->in_cap)
                return true;
        if (cap > DIAL_IN_MAX || (more = realloc(d->in, cap)) == NULL)
                return false;
        d->in = more;
        d->in_cap = cap;
        return true;
}

/* Read what is there: bytes behind the proxy's last word stay in in and go on to the tunnel. */
static void receive(struct dial *d)
{
        while (!d->over && d->watch.fd >= 0 && d->protocol != NULL) {
                ssize_t n;

                if (!in_room(d)) {
                        d->protocol->ended(d, EPROTO);
                        return;
                }
                n = recv(d->watch.fd, d->in + d->in_len, d->in_cap - d->in_len, 0);
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        d->protocol->ended(d, n < 0 ? errno : 0);
                        return;
                }
                d->in_len += (size_t)n;
                d->protocol->received(d);
        }
}

static void ready(struct watch *w, uint32_t events)
{
        struct dial *d = (struct dial *)((char *)w - offsetof(struct dial, watch));

        (void)events;
        if (d->over || d->protocol == NULL)
                return;
        d->handles++; /* what follows may end the dial, and still looks at it */
        flush(d);
        if (!d->over)
                receive(d);
        release(d);
}

/* ---- from proxy to proxy ---- */

static bool needs_no_tunnel(const struct dial *d)
{
        return d->plain && d->hop->next == NULL && hop_is_http(d->hop);
}

/* What one proxy has said is not what the next one, or the next try, says. */
static void forget_answer(struct dial *d)
{
        d->result.proxy_status = 0;
        d->result.credentials = false;
        free(d->head);
        d->head = NULL;
        d->head_len = 0;
}

/* d->watch has the connection to the present proxy, TLS or not. */
static void talk(struct dial *d)
{
        d->step = 0;
        d->refused = false;
        d->reused = false;
        forget_answer(d);
        if (needs_no_tunnel(d)) {
                hand_on(d);
                return;
        }
        d->protocol = protocols[d->hop->scheme];
        dial_limit(d, d->connect_ms != 0 ? 2 * d->connect_ms : DIAL_ANSWER_MS);
        d->protocol->start(d);
}

static void watch_connection(struct dial *d, int fd)
{
        d->watch = (struct watch){.ready = ready, .fd = fd};
        if (loop_add(d->loop, &d->watch) == 0)
                return;
        d->watch.fd = -1;
        close(fd);
        dial_fail(d, DIAL_CONNECT, ENOMEM, "out of memory");
}

static void shaken(void *ctx, int fd, int error, const char *why)
{
        struct dial *d = ctx;

        d->tls = NULL;
        if (fd < 0) {
                d->result.tls_failed = true;
                dial_fail(d, DIAL_CONNECT, error, "no TLS with the upstream proxy %s: %s",
                          dial_shown(d), why);
                return;
        }
        watch_connection(d, fd);
        if (!d->over)
                talk(d);
}

static void enter(struct dial *d)
{
        struct bridge_setup setup = {.fd = d->watch.fd,
                                     .tls = d->hop->tls,
                                     .host = d->hop->host,
                                     .early = d->in,
                                     .early_len = d->in_len};

        if (d->hop->scheme != HOP_HTTPS) {
                talk(d);
                return;
        }
        d->protocol = NULL;
        loop_remove(d->loop, &d->watch);
        d->in_len = 0;
        dial_limit(d, d->connect_ms != 0 ? d->connect_ms : TLS_MS);
        d->tls = bridge_start(d->loop, &setup, shaken, d);
        if (d->tls == NULL)
                dial_fail(d, DIAL_CONNECT, ENOMEM, "out of memory");
}

void dial_through(struct dial *d)
{
        if (d->hop->next == NULL) {
                hand_on(d);
                return;
        }
        d->hop = d->hop->next;
        d->depth++;
        enter(d);
}

/* ---- life ---- */

void dial_connected(struct dial *d, int fd)
{
        int one = 1;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (d->hop == NULL) {
                succeed(d, fd);
                return;
        }
        watch_connection(d, fd);
        if (!d->over)
                enter(d);
}

/* The last proxy is there already, and has been spoken with. */
static void use_spare(struct dial *d)
{
        int fd = d->spare_fd;

        d->spare_fd = -1;
        for (; d->hop->next != NULL; d->depth++)
                d->hop = d->hop->next;
        watch_connection(d, fd);
        if (!d->over)
                talk(d);
        d->reused = true;
}

static void connect_first(struct dial *d)
{
        forget_answer(d);
        d->hop = d->via != NULL ? d->via->hops : NULL;
        d->depth = 0;
        d->protocol = NULL;
        if (d->spare_fd >= 0 && d->hop != NULL)
                use_spare(d);
        else
                dial_connect(d);
}

bool dial_again(struct dial *d)
{
        if (d->redials++ == REDIALS_MAX)
                return false;
        drop_connection(d);
        drop_out(d);
        d->in_len = 0;
        connect_first(d);
        return true;
}

/* Runs from the loop, so that done never comes before dial_start has returned. */
static void begin(struct deferred *deferred)
{
        struct dial *d = (struct dial *)((char *)deferred - offsetof(struct dial, finish));

        if (!d->over)
                connect_first(d);
        release(d);
}

static char *copy(const char *text)
{
        return text != NULL ? strdup(text) : NULL;
}

struct dial *dial_start(struct loop *loop, const struct dial_request *request,
                        void (*done)(void *ctx, struct dial_result *result), void *ctx)
{
        struct dial *d = calloc(1, sizeof *d);

        if (d == NULL)
                goto fail;
        d->loop = loop;
        d->watch = (struct watch){.ready = ready, .fd = -1};
        d->name = copy(request->name);
        d->authorization = copy(request->authorization);
        d->timer = loop_timer_take(loop);
        if (d->timer == NULL || (d->name == NULL) != (request->name == NULL) ||
            (d->authorization == NULL) != (request->authorization == NULL)) {
                loop_timer_give(loop, d->timer);
                free(d->name);
                wipe_free(d->authorization);
                free(d);
                goto fail;
        }
        d->port = request->port;
        d->via = request->via;
        d->at_once = request->at_once;
        d->plain = request->plain;
        d->manner = request->manner;
        d->connect_fields = request->connect_fields;
        d->connect_ms = request->connect_ms;
        d->spare_fd = request->spare ? request->spare_fd : -1;
        d->result.kept_fd = -1;
        d->is_own = request->is_own;
        d->own_ctx = request->own_ctx;
        if (request->address != NULL)
                d->target = *request->address;
        d->result.fd = -1;
        d->done = done;
        d->ctx = ctx;
        d->start_us = clock_us();
        d->timer->data = d;
        d->handles = 2; /* the grave, and the deferred begin */
        d->finish.run = begin;
        loop_defer(loop, &d->finish);
        return d;
fail:
        if (request->spare)
                close(request->spare_fd);
        return NULL;
}
