/* /healthz and /metrics; see admin.h. One short request per connection. */
#include "net/admin.h"
#include "net/bound.h"
#include "net/head.h"
#include "net/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
        CLIENTS_MAX = 16,
        ROOM = 4096,       /* of a request */
        CLIENT_MS = 10000, /* for asking and for taking the answer */
};

struct admin_client {
        struct watch watch;
        struct admin *admin;
        struct admin_client *next;
        int fd; /* owned; -1: over */
        int64_t since_us;
        size_t len;
        char *answer; /* owned */
        size_t answer_len, answer_sent;
        char request[ROOM];
};

struct admin {
        struct watch watch;
        struct relay *relay;
        int fd;                       /* owned */
        char *path;                   /* owned or NULL */
        struct admin_client *clients; /* owned list */
        unsigned count;
        struct admin *next;
};

static void end(struct admin_client *c)
{
        if (c->fd < 0)
                return;
        loop_remove(c->admin->relay->loop, &c->watch);
        close(c->fd);
        c->fd = -1;
}

static void send_more(struct admin_client *c)
{
        while (c->answer_sent < c->answer_len) {
                ssize_t n = send(c->fd, c->answer + c->answer_sent, c->answer_len - c->answer_sent,
                                 MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0)
                        break;
                c->answer_sent += (size_t)n;
        }
        shutdown(c->fd, SHUT_WR);
        end(c);
}

static void answer(struct admin_client *c, const char *status, const char *type, const char *body,
                   size_t len, bool with_body)
{
        FILE *out = open_memstream(&c->answer, &c->answer_len);

        if (out == NULL) {
                end(c);
                return;
        }
        fprintf(out,
                "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: "
                "no-store\r\nConnection: close\r\n\r\n",
                status, type, len);
        if (with_body)
                fwrite(body, 1, len, out);
        if (fclose(out) == 0)
                send_more(c);
        else
                end(c);
}

static void say(struct admin_client *c, const char *status, const char *body, bool with_body)
{
        answer(c, status, "text/plain; charset=utf-8", body, strlen(body), with_body);
}

static void show_metrics(struct admin_client *c, bool with_body)
{
        size_t len;
        char *text = metrics_text(c->admin->relay, &len);

        if (text == NULL)
                say(c, "500 Internal Server Error", "out of memory\n", with_body);
        else
                answer(c, "200 OK", "text/plain; version=0.0.4; charset=utf-8", text, len,
                       with_body);
        free(text);
}

static void dispatch(struct admin_client *c, const struct head *head)
{
        bool get = text_is(head->method, "GET");

        if (!get && !text_is(head->method, "HEAD"))
                say(c, "405 Method Not Allowed\r\nAllow: GET, HEAD", "only GET is served here\n",
                    true);
        else if (text_is(head->target, "/metrics"))
                show_metrics(c, get);
        else if (text_is(head->target, "/healthz") && c->admin->relay->draining)
                say(c, "503 Service Unavailable", "draining\n", get);
        else if (text_is(head->target, "/healthz"))
                say(c, "200 OK", "ok\n", get);
        else
                say(c, "404 Not Found", "there are /healthz and /metrics\n", get);
}

static void parse(struct admin_client *c)
{
        static _Thread_local struct head head;

        switch (head_parse_request(c->request, c->len, &head)) {
        case HEAD_MORE:
                if (c->len == ROOM)
                        say(c, "431 Request Header Fields Too Large", "the head is too long\n",
                            true);
                return;
        case HEAD_OK:
                dispatch(c, &head);
                return;
        case HEAD_BAD:
        case HEAD_LONG_LINE:
        case HEAD_TOO_LONG:
                say(c, "400 Bad Request", "this is not an HTTP/1 request\n", true);
                return;
        }
}

static void client_ready(struct watch *w, uint32_t events)
{
        struct admin_client *c =
                (struct admin_client *)((char *)w - offsetof(struct admin_client, watch));

        (void)events;
        while (c->fd >= 0 && c->answer == NULL) {
                ssize_t n = recv(c->fd, c->request + c->len, ROOM - c->len, 0);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        end(c);
                        return;
                }
                c->len += (size_t)n;
                parse(c);
        }
        if (c->fd >= 0)
                send_more(c);
}

/* There is room for few: the oldest goes when a new one needs its place and it had its time. */
static void make_room(struct admin *a)
{
        int64_t now_us = loop_now_us(a->relay->loop);
        struct admin_client *c;

        LL_FOREACH (a->clients, c)
                if (now_us - c->since_us > 1000 * (int64_t)CLIENT_MS)
                        end(c);
}

static void accepted(struct admin *a, int fd)
{
        struct admin_client *c;

        make_room(a);
        c = a->count < CLIENTS_MAX ? calloc(1, sizeof *c) : NULL;
        if (c == NULL) {
                close(fd);
                return;
        }
        c->watch = (struct watch){.ready = client_ready, .fd = fd};
        c->admin = a;
        c->fd = fd;
        c->since_us = loop_now_us(a->relay->loop);
        LL_PREPEND(a->clients, c);
        a->count++;
        if (loop_add(a->relay->loop, &c->watch) < 0)
                end(c);
}

static void ready(struct watch *w, uint32_t events)
{
        struct admin *a = (struct admin *)((char *)w - offsetof(struct admin, watch));
        int fd;

        (void)events;
        while ((fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                accepted(a, fd);
}

static int add(struct relay *relay, int fd, const struct bound *bound, const char *name)
{
        struct admin *a;

        if (!bound->is_unix && !bound->is_loopback) {
                fprintf(stderr, "tapline: --admin %s: only loopback and unix:PATH are served\n",
                        name);
                close(fd);
                return -EINVAL;
        }
        a = calloc(1, sizeof *a);
        if (a == NULL) {
                close(fd);
                return -ENOMEM;
        }
        a->watch = (struct watch){.ready = ready, .fd = fd};
        a->fd = fd;
        a->relay = relay;
        a->path = bound->path != NULL ? strdup(bound->path) : NULL;
        LL_PREPEND(relay->admins, a);
        return loop_add_level(relay->loop, &a->watch);
}

int admin_open(struct relay *relay, const char *address)
{
        struct bound bound;
        int fd = bound_open(address, &bound);

        if (fd == -EINVAL)
                fprintf(stderr,
                        "tapline: --admin %s: it must be ADDRESS:PORT, as in 127.0.0.1:9090, or "
                        "unix:PATH\n",
                        address);
        else if (fd < 0)
                fprintf(stderr, "tapline: --admin %s: %s%s\n", address, strerror(-fd),
                        bound_hint(-fd));
        return fd < 0 ? fd : add(relay, fd, &bound, address);
}

int admin_adopt(struct relay *relay, int fd, const char *name)
{
        struct bound bound;

        if (bound_adopt(fd, &bound) == 0)
                return add(relay, fd, &bound, name);
        fprintf(stderr, "tapline: the socket %s that was passed is not a listening stream socket\n",
                name);
        close(fd);
        return -EINVAL;
}

void admin_sweep(struct relay *relay)
{
        struct admin_client *c, *next;
        struct admin *a;

        LL_FOREACH (relay->admins, a) {
                LL_FOREACH_SAFE (a->clients, c, next) {
                        if (c->fd >= 0)
                                continue;
                        LL_DELETE(a->clients, c);
                        a->count--;
                        free(c->answer);
                        free(c);
                }
        }
}

void admin_close(struct relay *relay)
{
        struct admin_client *c;
        struct admin *a, *next;

        LL_FOREACH (relay->admins, a)
                LL_FOREACH (a->clients, c)
                        end(c);
        admin_sweep(relay);
        LL_FOREACH_SAFE (relay->admins, a, next) {
                loop_remove(relay->loop, &a->watch);
                close(a->fd);
                if (a->path != NULL)
                        unlink(a->path);
                free(a->path);
                free(a);
        }
        relay->admins = NULL;
}
