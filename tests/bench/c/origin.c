/* origin.c - the HTTP/1.1 origin: GET /bytes/N answers N patterned bytes, plain or TLS.
 *
 *   origin [-w workers] [-c cert.pem -k key.pem [-C ca.pem -K ca.key]] 127.0.0.1:port
 *
 * With -C a name below the certificate's own (h1.origin.test) gets a certificate of its own, made
 * on the spot: every such name is a host that an inspecting relay has never seen. Every answer says
 * who connected (X-Peer: ip:port), so the client can prove that its own socket is not the one the
 * origin sees, and what TLS the origin saw (X-Tls). Epoll, one loop per worker. */
#include "mint.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum { AGAIN = -1, GONE = -2, BUDGET = 1 << 20 };

struct conn {
        int fd, want, inlen, hdrlen, closing, handshaking;
        SSL *ssl;
        uint64_t pos, total; /* position in, and length of, header + body; 0/0 when idle */
        char peer[32], in[2048], hdr[384];
};

static unsigned char pattern[PATTERN];
static int ep;
static EVP_PKEY *leaf_key, *ca_key;
static X509 *ca;

/* Result of an SSL call as a byte count, AGAIN or GONE; notes what to wait for. */
static int tls_result(struct conn *c, int rc)
{
        if (rc > 0)
                return rc;
        int e = SSL_get_error(c->ssl, rc);
        ERR_clear_error();
        c->want = e == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN;
        return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? AGAIN : GONE;
}

static int sys_result(ssize_t n)
{
        return n > 0 ? (int)n : n < 0 && (errno == EAGAIN || errno == EINTR) ? AGAIN : GONE;
}

/* The next bytes of the virtual stream header+body; deterministic, so a retry sees the same. */
static size_t chunk(struct conn *c, const unsigned char **p)
{
        static unsigned char first[16 * 1024];
        if (c->pos < (uint64_t)c->hdrlen) {
                size_t h = (size_t)c->hdrlen - c->pos, b = c->total - (uint64_t)c->hdrlen;
                if (b > sizeof first - h)
                        b = sizeof first - h;
                memcpy(first, c->hdr + c->pos, h);
                memcpy(first + h, pattern, b);
                *p = first;
                return h + b;
        }
        uint64_t off = (c->pos - (uint64_t)c->hdrlen) % PATTERN, left = c->total - c->pos;
        *p = pattern + off;
        return left < PATTERN - off ? left : PATTERN - off;
}

static int flush_out(struct conn *c)
{
        for (size_t done = 0; c->pos < c->total;) {
                const unsigned char *p;
                size_t n = chunk(c, &p);
                c->want = EPOLLOUT;
                if (done >= BUDGET)
                        return AGAIN;
                int rc = c->ssl ? tls_result(c, SSL_write(c->ssl, p, (int)n))
                                : sys_result(send(c->fd, p, n, MSG_NOSIGNAL));
                if (rc < 0)
                        return rc;
                c->pos += (uint64_t)rc, done += (size_t)rc;
        }
        c->pos = c->total = 0;
        return c->closing ? GONE : 0;
}

/* Starts the answer to one complete request in c->in, if there is one. */
static int answer(struct conn *c)
{
        char *end = memmem(c->in, (size_t)c->inlen, "\r\n\r\n", 4), *path;
        if (!end)
                return c->inlen == sizeof c->in - 1 ? GONE : AGAIN;
        *end = 0;
        if (!(path = strstr(c->in, "/bytes/")))
                return GONE;
        unsigned long long n = strtoull(path + 7, NULL, 10);
        c->closing = strcasestr(c->in, "\r\nConnection: close") != NULL;
        c->hdrlen = snprintf(
                c->hdr, sizeof c->hdr,
                "HTTP/1.1 200 OK\r\nServer: bench\r\nX-Peer: %s\r\nX-Tls: %s %s resumed=%d\r\n"
                "Cache-Control: no-store\r\nContent-Type: application/octet-stream\r\n"
                "Content-Length: %llu\r\nConnection: %s\r\n\r\n",
                c->peer, c->ssl ? SSL_get_version(c->ssl) : "none",
                c->ssl ? SSL_get_cipher(c->ssl) : "none", c->ssl ? SSL_session_reused(c->ssl) : 0,
                n, c->closing ? "close" : "keep-alive");
        c->total = (uint64_t)c->hdrlen + n;
        int used = (int)(end + 4 - c->in);
        memmove(c->in, c->in + used, (size_t)(c->inlen -= used));
        return 0;
}

static int step(struct conn *c)
{
        int rc;
        if (c->handshaking) {
                if ((rc = tls_result(c, SSL_accept(c->ssl))) < 0)
                        return rc;
                c->handshaking = 0;
        }
        for (;;) {
                if (c->total && (rc = flush_out(c)))
                        return rc;
                if (c->inlen && (rc = answer(c)) != AGAIN) {
                        if (rc == GONE)
                                return GONE;
                        continue;
                }
                size_t room = sizeof c->in - 1 - (size_t)c->inlen;
                c->want = EPOLLIN;
                rc = c->ssl ? tls_result(c, SSL_read(c->ssl, c->in + c->inlen, (int)room))
                            : sys_result(recv(c->fd, c->in + c->inlen, room, 0));
                if (rc < 0)
                        return rc;
                c->inlen += rc;
                c->in[c->inlen] = 0;
        }
}

static void accept_all(int lfd, SSL_CTX *ctx)
{
        struct sockaddr_in a;
        socklen_t alen = sizeof a;
        for (int fd, i = 0; i < 64 && (fd = accept4(lfd, (void *)&a, &alen, SOCK_NONBLOCK)) >= 0;
             i++) {
                struct conn *c = calloc(1, sizeof *c);
                char ip[20];
                c->fd = fd;
                inet_ntop(AF_INET, &a.sin_addr, ip, sizeof ip);
                snprintf(c->peer, sizeof c->peer, "%s:%d", ip, ntohs(a.sin_port));
                nodelay(fd);
                if (ctx) {
                        c->ssl = SSL_new(ctx);
                        SSL_set_fd(c->ssl, fd);
                        c->handshaking = 1;
                }
                struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
                c->want = EPOLLIN;
                epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
        }
}

/* SNI callback: h<i>-<j>.<name> gets a fresh leaf. */
static int on_sni(SSL *ssl, int *alert, void *arg)
{
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        (void)alert, (void)arg;
        if (name && name[0] == 'h' && strchr(name, '-')) {
                X509 *x = mint_leaf(leaf_key, ca, ca_key, name);
                SSL_use_certificate(ssl, x);
                X509_free(x);
        }
        return SSL_TLSEXT_ERR_OK;
}

static void *read_pem(const char *path, int key)
{
        FILE *f = fopen(path, "r");
        void *p = !f    ? NULL
                  : key ? (void *)PEM_read_PrivateKey(f, NULL, NULL, NULL)
                        : (void *)PEM_read_X509(f, NULL, NULL, NULL);
        if (!p)
                die("cannot read %s", path);
        fclose(f);
        return p;
}

static void serve(int lfd, SSL_CTX *ctx)
{
        struct epoll_event ev = {.events = EPOLLIN | EPOLLEXCLUSIVE}, got[64];
        ep = epoll_create1(0);
        epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
        for (;;) {
                int n = epoll_wait(ep, got, 64, -1);
                for (int i = 0; i < n; i++) {
                        struct conn *c = got[i].data.ptr;
                        if (!c) {
                                accept_all(lfd, ctx);
                                continue;
                        }
                        int had = c->want;
                        if (step(c) == GONE) {
                                if (c->ssl) {
                                        SSL_shutdown(c->ssl);
                                        ERR_clear_error();
                                        SSL_free(c->ssl);
                                }
                                close(c->fd);
                                free(c);
                        } else if (c->want != had) {
                                struct epoll_event m = {.events = (uint32_t)c->want, .data.ptr = c};
                                epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &m);
                        }
                }
        }
}

int main(int argc, char **argv)
{
        int workers = 1, o;
        const char *cert = NULL, *key = NULL,
                   *usage = "usage: origin [-w n] [-c cert -k key [-C ca -K ca-key]] ip:port";
        while ((o = getopt(argc, argv, "w:c:k:C:K:")) != -1) {
                if (o == 'w')
                        workers = atoi(optarg);
                else if (o == 'c')
                        cert = optarg;
                else if (o == 'k')
                        leaf_key = read_pem(key = optarg, 1);
                else if (o == 'C')
                        ca = read_pem(optarg, 0);
                else if (o == 'K')
                        ca_key = read_pem(optarg, 1);
                else
                        die("%s", usage);
        }
        if (optind >= argc || !cert != !key || !ca != !ca_key)
                die("%s", usage);
        signal(SIGPIPE, SIG_IGN);
        fill_pattern(pattern);
        SSL_CTX *ctx = NULL;
        if (cert) {
                ctx = SSL_CTX_new(TLS_server_method());
                SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                              SSL_MODE_RELEASE_BUFFERS);
                if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
                    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
                        die("cannot load %s / %s", cert, key);
                if (ca)
                        SSL_CTX_set_tlsext_servername_callback(ctx, on_sni);
        }
        int lfd = tcp_listen(argv[optind]);
        fcntl(lfd, F_SETFL, O_NONBLOCK);
        for (int i = 1; i < workers; i++)
                if (fork() == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGTERM);
                        serve(lfd, ctx);
                }
        serve(lfd, ctx);
}
