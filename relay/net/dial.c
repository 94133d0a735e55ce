/* Getting to a target; see dial.h. States: resolve (libuv's pool) -> connect, one address after the
 * other -> CONNECT. A failed attempt keeps the errno of the first address, which is the preferred
 * one, for the report. */
#include "net/dial.h"
#include "net/head.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
        ATTEMPT_MS = 10000, /* one address, when there are others to try */
        TOTAL_MS = 150000,  /* all of it; Linux itself gives a SYN 67 to 130 s, and has the errno to
                               tell */
        ANSWER_MS = 60000,  /* a proxy's answer to CONNECT: it may have to dial far */
        BODY_MAX = 65536,   /* of a refusal's body */
        BODY_MS = 1000,     /* the time a refusing proxy gets to send it */
        ADDRESSES_MAX = 16,
};

struct dial {
        struct loop *loop; /* borrowed */
        struct watch watch;
        uv_getaddrinfo_t lookup;
        uv_timer_t timer;
        struct deferred finish;
        int handles;                /* uv handles and requests that still hold this memory */
        bool over;                  /* done was called, or cancelled */
        char *name, *authorization; /* owned */
        uint16_t port;
        const struct upstream *via; /* borrowed */
        bool plain;
        struct wire_addr target; /* family 0: by name */
        struct dial_manner manner;
        struct sockaddr_storage addresses[ADDRESSES_MAX];
        size_t count, next;
        int64_t start_us;
        char *request; /* owned: the CONNECT head */
        size_t request_len, request_sent;
        char *answer; /* owned */
        size_t answer_len, answer_cap;
        size_t head_at, head_len; /* the final head within answer */
        bool body;                /* reading a refusal's body */
        uint64_t body_want;
        struct dial_result result;
        void (*done)(void *ctx, struct dial_result *result);
        void *ctx;
};

static void release(struct dial *d)
{
        if (--d->handles > 0)
                return;
        free(d->name);
        free(d->authorization);
        if (d->request != NULL)
                explicit_bzero(d->request, d->request_len);
        free(d->request);
        free(d->answer);
        free(d);
}

static void timer_closed(uv_handle_t *handle)
{
        release(handle->data);
}

/* Give up what can be given up now; memory goes when libuv has let go of it. */
static void wind_up(struct dial *d)
{
        d->over = true;
        if (d->watch.fd >= 0) {
                int fd = d->watch.fd;

                loop_remove(d->loop, &d->watch);
                close(fd);
        }
        uv_cancel((uv_req_t *)&d->lookup);
        uv_close((uv_handle_t *)&d->timer, timer_closed);
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
        d->result.proxy_head = d->answer != NULL ? d->answer + d->head_at : NULL;
        d->result.proxy_head_len = d->head_len;
        d->result.after = d->answer != NULL ? d->answer + d->head_at + d->head_len : NULL;
        d->result.after_len = d->answer_len - d->head_at - d->head_len;
        if (d->result.stage == DIAL_DONE) {
                d->result.fd = d->watch.fd;
                loop_remove(d->loop, &d->watch);
        }
        d->handles++; /* done may cancel other dials, but this one must outlive the call */
        wind_up(d);
        d->done(d->ctx, &d->result);
        release(d);
}

__attribute__((format(printf, 4, 5))) static void fail(struct dial *d, enum dial_stage stage,
                                                       int error, const char *format, ...)
{
        va_list list;

        d->result.stage = stage;
        d->result.error = error;
        va_start(list, format);
        vsnprintf(d->result.text, sizeof d->result.text, format, list);
        va_end(list);
        finish(d);
}

static void next_address(struct dial *d);

static void drop_socket(struct dial *d)
{
        int fd = d->watch.fd;

        loop_remove(d->loop, &d->watch);
        if (fd >= 0)
                close(fd);
}

/* The first address's errno is told: the later ones are fallbacks (often of a family that this
 * machine cannot reach at all). */
static void attempt_failed(struct dial *d, int error)
{
        drop_socket(d);
        if (d->result.error == 0 || d->result.error == ENETUNREACH)
                d->result.error = error;
        if (d->next < d->count) {
                next_address(d);
                return;
        }
        fail(d, DIAL_CONNECT, d->result.error, "%s %s port %u: %s",
             d->via != NULL ? "cannot reach the upstream proxy" : "cannot connect to",
             d->via != NULL    ? d->via->host
             : d->name != NULL ? d->name
                               : d->result.address,
             d->via != NULL ? d->via->port : d->port, strerror(d->result.error));
}

/* A proxy's refusal as an errno: what connect(2) would most nearly have said. */
static int refusal_errno(unsigned status)
{
        switch (status) {
        case 504:
                return ETIMEDOUT;
        case 500:
        case 502:
        case 503:
                return EHOSTUNREACH;
        default:
                return ECONNREFUSED;
        }
}

static void refused(struct dial *d)
{
        fail(d, DIAL_PROXY, refusal_errno(d->result.proxy_status),
             "the upstream proxy %s answered %u to CONNECT", d->via->shown, d->result.proxy_status);
}

static void start_timer(struct dial *d, uint64_t ms);

/* A whole final head is there: 2xx opens the tunnel, all else is a refusal whose body is evidence.
 */
static void answered(struct dial *d, const struct head *head)
{
        uint64_t length;

        d->result.proxy_status = head->status;
        if (head->status >= 200 && head->status < 300) {
                d->result.stage = DIAL_DONE;
                finish(d);
                return;
        }
        d->body = true;
        d->body_want =
                head_content_length(head, &length) == 0 && length < BODY_MAX ? length : BODY_MAX;
        if (d->answer_len - d->head_at - d->head_len >= d->body_want)
                refused(d);
        else
                start_timer(d, BODY_MS);
}

/* Look at what has come. 1xx heads before the final one are passed over (RFC 9110 section 15.2). */
static void parse_answer(struct dial *d)
{
        static _Thread_local struct head head; /* 12 KiB, used up before returning */

        for (;;) {
                switch (head_parse_response(d->answer + d->head_at, d->answer_len - d->head_at,
                                            &head)) {
                case HEAD_MORE:
                        return;
                case HEAD_OK:
                        break;
                case HEAD_BAD:
                case HEAD_LONG_LINE:
                case HEAD_TOO_LONG:
                        fail(d, DIAL_PROXY, ECONNREFUSED,
                             "the upstream proxy %s gave an answer that is not HTTP/1",
                             d->via->shown);
                        return;
                }
                d->head_len = head.len;
                if (head.status >= 200) {
                        answered(d, &head);
                        return;
                }
                d->head_at += head.len;
                d->head_len = 0;
        }
}

static bool answer_room(struct dial *d)
{
        size_t cap = d->answer_cap != 0 ? d->answer_cap * 2 : 4096;
        char *more;

        if (d->answer_len < d->answer_cap)
                return true;
        if (cap > HEAD_MAX + BODY_MAX || (more = realloc(d->answer, cap)) == NULL)
                return false;
        d->answer = more;
        d->answer_cap = cap;
        return true;
}

static void closed_early(struct dial *d, int error)
{
        if (d->body) {
                refused(d);
                return;
        }
        fail(d, DIAL_PROXY, error != 0 ? error : ECONNRESET,
             "the upstream proxy %s closed the connection before it answered CONNECT (%zu bytes "
             "came)",
             d->via->shown, d->answer_len);
}

/* Read the answer a little at a time: bytes behind the head stay in answer and go on to the tunnel.
 */
static void read_answer(struct dial *d)
{
        while (!d->over) {
                ssize_t n;

                if (!answer_room(d)) {
                        closed_early(d, EPROTO);
                        return;
                }
                n = recv(d->watch.fd, d->answer + d->answer_len, d->answer_cap - d->answer_len, 0);
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        closed_early(d, n < 0 ? errno : 0);
                        return;
                }
                d->answer_len += (size_t)n;
                if (!d->body)
                        parse_answer(d);
                else if (d->answer_len - d->head_at - d->head_len >= d->body_want)
                        refused(d);
        }
}

static void send_request(struct dial *d)
{
        while (d->request_sent < d->request_len) {
                ssize_t n = send(d->watch.fd, d->request + d->request_sent,
                                 d->request_len - d->request_sent, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        closed_early(d, errno);
                        return;
                }
                d->request_sent += (size_t)n;
        }
}

static int build_request(struct dial *d)
{
        char literal[64];

        address_literal(&d->target, literal);
        d->request = upstream_request(d->via, d->name != NULL ? d->name : literal, d->port,
                                      d->authorization, &d->result.credentials);
        d->request_len = d->request != NULL ? strlen(d->request) : 0;
        return d->request != NULL ? 0 : -ENOMEM;
}

static void connected(struct dial *d)
{
        int one = 1;

        setsockopt(d->watch.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (d->via == NULL || d->plain) {
                d->result.stage = DIAL_DONE;
                finish(d);
                return;
        }
        if (build_request(d) < 0) {
                fail(d, DIAL_PROXY, ENOMEM, "out of memory");
                return;
        }
        start_timer(d, ANSWER_MS);
        send_request(d);
}

static void ready(struct watch *w, uint32_t events)
{
        struct dial *d = (struct dial *)((char *)w - offsetof(struct dial, watch));
        int error = 0;
        socklen_t len = sizeof error;

        if (d->over)
                return;
        d->handles++; /* what follows may end the dial, and still looks at it */
        if (d->request == NULL) {
                if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0)
                        attempt_failed(d, error);
                else if ((events & EPOLLOUT) != 0)
                        connected(d);
        }
        if (!d->over && d->request_sent < d->request_len)
                send_request(d);
        if (!d->over && d->request != NULL)
                read_answer(d);
        release(d);
}

static void timed_out(uv_timer_t *timer)
{
        struct dial *d = timer->data;

        if (d->over)
                return;
        if (d->body)
                refused(d);
        else if (d->request != NULL)
                fail(d, DIAL_PROXY, ETIMEDOUT,
                     "the upstream proxy %s did not answer CONNECT within %d s", d->via->shown,
                     ANSWER_MS / 1000);
        else
                attempt_failed(d, ETIMEDOUT);
}

static void start_timer(struct dial *d, uint64_t ms)
{
        uv_timer_start(&d->timer, timed_out, ms, 0);
}

static void next_address(struct dial *d)
{
        struct sockaddr_storage *to = &d->addresses[d->next++];
        socklen_t len =
                to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        struct wire_addr shown;
        int error = 0;

        address_from_socket((struct sockaddr *)to, &shown);
        address_literal(&shown, d->result.address);
        d->watch.fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (d->watch.fd < 0) {
                attempt_failed(d, errno);
                return;
        }
        if (d->via == NULL)
                error = dial_manner_apply(&d->manner, d->watch.fd, to->ss_family);
        if (error == 0 && connect(d->watch.fd, (struct sockaddr *)to, len) < 0 &&
            errno != EINPROGRESS)
                error = errno;
        else if (error == 0)
                error = -loop_add(d->loop, &d->watch);
        if (error != 0)
                attempt_failed(d, error);
        else
                start_timer(d, d->next < d->count ? ATTEMPT_MS : TOTAL_MS);
}

static void resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *list)
{
        struct dial *d = lookup->data;

        for (struct addrinfo *i = status == 0 ? list : NULL; i != NULL && d->count < ADDRESSES_MAX;
             i = i->ai_next)
                memcpy(&d->addresses[d->count++], i->ai_addr, i->ai_addrlen);
        uv_freeaddrinfo(list);
        if (!d->over && d->count == 0)
                fail(d, DIAL_RESOLVE, EHOSTUNREACH, "the name %s cannot be resolved: %s",
                     d->via != NULL ? d->via->host : d->name,
                     status < 0 ? uv_strerror(status) : "no address");
        else if (!d->over)
                next_address(d);
        release(d);
}

static void resolve(struct dial *d, const char *host, uint16_t port)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
        struct wire_addr literal;
        char service[8];
        int result;

        if (address_from_literal(host, port, &literal)) {
                address_to_socket(&literal, &d->addresses[d->count++]);
                next_address(d);
                return;
        }
        snprintf(service, sizeof service, "%u", port);
        d->lookup.data = d;
        d->handles++;
        result = uv_getaddrinfo(loop_uv(d->loop), &d->lookup, resolved, host, service, &hints);
        if (result < 0)
                resolved(&d->lookup, result, NULL);
}

/* Runs from the loop, so that done never comes before dial_start has returned. */
static void begin(struct deferred *deferred)
{
        struct dial *d = (struct dial *)((char *)deferred - offsetof(struct dial, finish));

        if (!d->over && d->via == NULL && d->target.family != 0) {
                address_to_socket(&d->target, &d->addresses[d->count++]);
                next_address(d);
        } else if (!d->over) {
                resolve(d, d->via != NULL ? d->via->host : d->name,
                        d->via != NULL ? d->via->port : d->port);
        }
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
                return NULL;
        d->loop = loop;
        d->watch = (struct watch){.ready = ready, .fd = -1};
        d->name = copy(request->name);
        d->authorization = copy(request->authorization);
        d->port = request->port;
        d->via = request->via;
        d->plain = request->plain;
        d->manner = request->manner;
        if (request->address != NULL)
                d->target = *request->address;
        d->result.fd = -1;
        d->done = done;
        d->ctx = ctx;
        d->start_us = clock_us();
        uv_timer_init(loop_uv(loop), &d->timer);
        d->timer.data = d;
        d->handles = 2; /* the timer, and the deferred begin */
        d->finish.run = begin;
        loop_defer(loop, &d->finish);
        return d;
}
