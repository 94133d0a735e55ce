/* relay.c - the reference relay: what one epoll loop in C can do on this machine.
 *
 *   relay copy|splice 127.0.0.1:port [fixed-target ip:port [UNIX-socket]]
 *
 * Speaks HTTP CONNECT and SOCKS5 (no auth) on one port, told apart by the first byte; any
 * other first byte is forwarded as it is to the fixed target. With a fixed target it sends every
 * tunnel there, whatever address was asked for: shims that refuse to proxy loopback addresses can
 * then be aimed at a documentation address such as 192.0.2.1. 'copy' moves bytes with recv/send
 * through a 256 KiB buffer, 'splice' through pipes, zero-copy.
 *
 * With a UNIX socket it is asked before it is connected to, by askshim.c: it dials, and says so
 * once the target is there. Whoever connects afterwards gets a tunnel that was dialled for
 * somebody; all lead to the one target. That is the least that a connect() needs which may not
 * succeed early. */
#include "common.h"
#include <sys/epoll.h>
#include <sys/un.h>

enum { CHUNK = 256 * 1024, PIPE = 1024 * 1024, BUDGET = 1 << 20 };

struct half { /* one socket, and the bytes waiting to be sent to it */
        struct half *peer;
        int fd, pipe[2], events, eof;
        char *pend; /* copy mode: unsent bytes, allocated only while there are some */
        size_t pend_off, pend_len; /* splice mode: pend_len is what sits in the pipe */
};

static int ep, splicing, npipes, pool[4096][2];
static char *scratch;
static struct sockaddr_in fixed;
static struct half *graveyard; /* freed after the event batch, so no stale event touches it */
static struct half *asked;     /* dialled when asked, not connected to yet; listed by peer */

static void watch(struct half *h, int events, int op)
{
        struct epoll_event ev = {.events = (uint32_t)events, .data.ptr = h};
        if (op == EPOLL_CTL_ADD || events != h->events)
                epoll_ctl(ep, op, h->fd, &ev);
        h->events = events;
}

static void get_pipe(int p[2])
{
        if (npipes)
                memcpy(p, pool[--npipes], sizeof pool[0]);
        else if (pipe2(p, O_NONBLOCK | O_CLOEXEC))
                p[0] = p[1] = -1;
        else
                fcntl(p[1], F_SETPIPE_SZ, PIPE);
}

static void put_pipe(struct half *h)
{
        if (h->pipe[0] < 0)
                return;
        if (!h->pend_len && npipes < 4096)
                memcpy(pool[npipes++], h->pipe, sizeof pool[0]);
        else
                close(h->pipe[0]), close(h->pipe[1]);
        h->pipe[0] = h->pipe[1] = -1;
}

static void bury(struct half *h)
{
        for (int i = 0; i < 2; i++, h = h->peer) {
                if (h->fd < 0)
                        return;
                close(h->fd);
                h->fd = -1;
                put_pipe(h);
                free(h->pend);
        }
        h->pend = (char *)graveyard;
        graveyard = h;
}

/* Moves bytes src -> dst until one side would block. 0 fine, -1 the tunnel is over. */
static int pump_copy(struct half *src, struct half *dst)
{
        for (size_t moved = 0; moved < BUDGET;) {
                char *p = dst->pend_len ? dst->pend + dst->pend_off : scratch;
                ssize_t n = (ssize_t)dst->pend_len;
                if (!n) {
                        n = recv(src->fd, scratch, CHUNK, 0);
                        if (n == 0)
                                return src->eof = 1, shutdown(dst->fd, SHUT_WR), 0;
                        if (n < 0)
                                return errno == EAGAIN ? 0 : -1;
                }
                ssize_t k = send(dst->fd, p, (size_t)n, MSG_NOSIGNAL);
                if (k < 0 && errno != EAGAIN)
                        return -1;
                k = k < 0 ? 0 : k, moved += (size_t)k;
                if (dst->pend_len) {
                        dst->pend_off += (size_t)k, dst->pend_len -= (size_t)k;
                        if (dst->pend_len)
                                return 0;
                        free(dst->pend), dst->pend = NULL;
                } else if (k < n) {
                        dst->pend_len = (size_t)(n - k), dst->pend_off = 0;
                        memcpy(dst->pend = malloc(dst->pend_len), p + k, dst->pend_len);
                        return 0;
                }
        }
        return 0;
}

static int pump_splice(struct half *src, struct half *dst)
{
        if (dst->pipe[0] < 0)
                get_pipe(dst->pipe);
        for (size_t moved = 0; moved < BUDGET;) {
                ssize_t n = splice(src->fd, NULL, dst->pipe[1], NULL, PIPE,
                                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
                if (n < 0 && errno != EAGAIN)
                        return -1;
                if (n == 0 && !dst->pend_len) {
                        src->eof = 1, shutdown(dst->fd, SHUT_WR);
                        break;
                }
                dst->pend_len += n > 0 ? (size_t)n : 0;
                if (!dst->pend_len)
                        break;
                ssize_t k = splice(dst->pipe[0], NULL, dst->fd, NULL, dst->pend_len,
                                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
                if (k < 0 && errno != EAGAIN)
                        return -1;
                if (k <= 0)
                        return 0;
                dst->pend_len -= (size_t)k, moved += (size_t)k;
        }
        if (!dst->pend_len)
                put_pipe(dst);
        return 0;
}

static void pump(struct half *h)
{
        struct half *p = h->peer;
        int (*move)(struct half *, struct half *) = splicing ? pump_splice : pump_copy;
        if ((!h->eof && move(h, p)) || (!p->eof && move(p, h)) ||
            (h->eof && p->eof && !h->pend_len && !p->pend_len)) {
                bury(h);
                return;
        }
        for (int i = 0; i < 2; i++, h = h->peer) /* read unless the other side is clogged */
                watch(h, (h->eof || h->peer->pend_len ? 0 : EPOLLIN) | (h->pend_len ? EPOLLOUT : 0),
                      EPOLL_CTL_MOD);
}

/* Both halves of a tunnel, of which the first is connected; NULL: it could not be. */
static struct half *dial(const struct sockaddr_in *to)
{
        struct half *up = calloc(2, sizeof *up);
        up->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (up->fd < 0 || connect(up->fd, (const struct sockaddr *)to, sizeof *to)) {
                close(up->fd);
                free(up);
                return NULL;
        }
        fcntl(up->fd, F_SETFL, O_NONBLOCK);
        nodelay(up->fd);
        return up;
}

/* The client of h becomes the tunnel's other half. */
static void tie(struct half *up, struct half *h, int op, const char *reply, size_t rlen)
{
        struct half *down = up + 1;
        down->fd = h->fd;
        up->peer = down, down->peer = up;
        for (int i = 0; i < 2; i++)
                up[i].pipe[0] = up[i].pipe[1] = -1;
        watch(up, EPOLLIN, EPOLL_CTL_ADD);
        watch(down, EPOLLIN, op);
        if (rlen && send(down->fd, reply, rlen, MSG_NOSIGNAL) != (ssize_t)rlen)
                bury(down);
        free(h);
}

/* Somebody asks: what for is the same for all. */
static void answer(int fd)
{
        char question[16];
        struct half *up = recv(fd, question, sizeof question, 0) > 0 ? dial(&fixed) : NULL;
        if (up && send(fd, question, 1, MSG_NOSIGNAL) == 1) {
                up->peer = asked;
                asked = up;
        }
        close(fd);
}

static int unix_listen(const char *path)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        strncpy(a.sun_path, path, sizeof a.sun_path - 1);
        if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096))
                die("listen %s: %s", path, strerror(errno));
        return fd;
}

/* First bytes of a client: learn the target, dial it, answer. Short and blocking: this is loopback.
 */
static void greet(struct half *h)
{
        char b[2048];
        struct sockaddr_in to = fixed;
        const char *reply = "";
        size_t rlen = 0;
        ssize_t n = recv(h->fd, b, sizeof b - 1, MSG_PEEK);
        if (n <= 0)
                goto drop;
        b[n] = 0;
        if (b[0] == 5 && b[1] + 2 == n) { /* SOCKS5 greeting; the request follows */
                recv(h->fd, b, (size_t)n, 0);
                if (send(h->fd, "\5\0", 2, MSG_NOSIGNAL) != 2)
                        goto drop;
                return;
        } else if (b[0] == 5 && n >= 10 && b[1] == 1 && (b[3] == 1 || b[3] == 3)) {
                int name = b[3] == 3,
                    len = name ? 1 + (unsigned char)b[4] : 4; /* a name needs a fixed target */
                if (n < 6 + len || (name && !fixed.sin_port))
                        goto drop;
                recv(h->fd, b, (size_t)(6 + len), 0);
                if (!fixed.sin_port)
                        to.sin_family = AF_INET, memcpy(&to.sin_addr, b + 4, 4),
                        memcpy(&to.sin_port, b + 8, 2);
                reply = "\5\0\0\1\0\0\0\0\0\0", rlen = 10;
        } else if (!strncmp(b, "CONNECT ", 8)) {
                char *end = strstr(b, "\r\n\r\n"), *sp = strchr(b + 8, ' ');
                if (!end || !sp)
                        return;
                recv(h->fd, b, (size_t)(end + 4 - b), 0);
                *sp = 0;
                if (!fixed.sin_port)
                        to = parse_addr(b + 8);
                reply = "HTTP/1.1 200 OK\r\n\r\n", rlen = 19;
        } else if (!fixed.sin_port)
                goto drop;
        struct half *up = dial(&to);
        if (!up)
                goto drop;
        tie(up, h, EPOLL_CTL_MOD, reply, rlen);
        return;
drop:
        close(h->fd);
        free(h);
}

static void welcome(int fd)
{
        struct half *c = calloc(1, sizeof *c), *up = asked;
        c->fd = fd;
        nodelay(fd);
        if (!up) {
                watch(c, EPOLLIN, EPOLL_CTL_ADD);
                return;
        }
        asked = up->peer;
        tie(up, c, EPOLL_CTL_ADD, "", 0);
        pump(up + 1);
}

int main(int argc, char **argv)
{
        if (argc < 3)
                die("usage: relay copy|splice ip:port [fixed-target ip:port [UNIX-socket]]");
        splicing = !strcmp(argv[1], "splice");
        if (argc > 3)
                fixed = parse_addr(argv[3]);
        signal(SIGPIPE, SIG_IGN);
        scratch = malloc(CHUNK);
        int lfd = tcp_listen(argv[2]), ask_fd = argc > 4 ? unix_listen(argv[4]) : -1;
        fcntl(lfd, F_SETFL, O_NONBLOCK);
        ep = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event ev = {.events = EPOLLIN}, got[128];
        epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
        ev.data.ptr = &ask_fd;
        if (ask_fd >= 0)
                epoll_ctl(ep, EPOLL_CTL_ADD, ask_fd, &ev);
        for (;;) {
                int n = epoll_wait(ep, got, 128, -1);
                for (int i = 0, fd; i < n; i++) {
                        struct half *h = got[i].data.ptr;
                        if (got[i].data.ptr == &ask_fd)
                                while ((fd = accept4(ask_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                                        answer(fd);
                        else if (!h)
                                while ((fd = accept4(lfd, NULL, NULL,
                                                     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                                        welcome(fd);
                        else if (h->fd < 0)
                                continue;
                        else if (h->peer && h->eof && got[i].events & (EPOLLERR | EPOLLHUP))
                                bury(h);
                        else if (h->peer)
                                pump(h);
                        else
                                greet(h);
                }
                for (struct half *h = graveyard, *next; h; h = next) {
                        next = (struct half *)h->pend;
                        free(h < h->peer ? h : h->peer);
                }
                graveyard = NULL;
        }
}
