/* refmitm.c - the reference TLS inspector: the least a terminate-and-re-encrypt relay can cost.
 *
 *   refmitm leaf.pem leaf.key origin-ca.pem 127.0.0.1:port target-ip:port
 *
 * One thread per connection, one ready-made leaf (no minting, no HTTP parsing, no logging); takes
 * HTTP CONNECT or a bare ClientHello. Upstream is verified against origin-ca.pem. A ceiling, no
 * product. */
#include "common.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>

enum { BATCH = 64 * 1024 };
static SSL_CTX *front, *back;
static struct sockaddr_in target;

/* Forwards what has arrived, up to a batch; 1 moved, 0 nothing for us yet, -1 over. */
static int forward(SSL *from, SSL *to)
{
        char b[BATCH];
        int have = 0, n = 0;
        do {
                if ((n = SSL_read(from, b + have, BATCH - have)) > 0)
                        have += n;
        } while (n > 0 && have <= BATCH - 16384 && SSL_has_pending(from));
        if (have && (SSL_write(to, b, have) != have || BIO_flush(SSL_get_wbio(to)) != 1))
                return -1;
        return n > 0 || SSL_get_error(from, n) == SSL_ERROR_WANT_READ ? have > 0 : -1;
}

/* A TLS session over fd; its records leave in batches, not one system call each. */
static SSL *session(SSL_CTX *ctx, int fd)
{
        SSL *s = SSL_new(ctx);
        BIO *sock = BIO_new_socket(fd, BIO_NOCLOSE), *out = BIO_new(BIO_f_buffer());
        BIO_set_write_buffer_size(out, BATCH + 2048);
        BIO_up_ref(sock);
        SSL_set_bio(s, sock, BIO_push(out, sock));
        return s;
}

static void inspect(int fd, int up)
{
        SSL *a = session(front, fd), *b = session(back, up);
        if (SSL_accept(a) != 1)
                goto out;
        const char *name = SSL_get_servername(a, TLSEXT_NAMETYPE_host_name);
        if (name)
                SSL_set_tlsext_host_name(b, name), SSL_set1_host(b, name);
        if (SSL_connect(b) != 1)
                goto out;
        BIO_flush(SSL_get_wbio(a));
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = up, .events = POLLIN}};
        for (int x = SSL_has_pending(a), y = SSL_has_pending(b); x >= 0 && y >= 0;) {
                x = x > 0 && SSL_has_pending(a), y = y > 0 && SSL_has_pending(b);
                if (poll(p, 2, x || y ? 0 : -1) < 0)
                        break;
                if (x || p[0].revents)
                        x = forward(a, b);
                if (y || p[1].revents)
                        y = forward(b, a);
        }
        SSL_shutdown(a), BIO_flush(SSL_get_wbio(a));
        SSL_shutdown(b), BIO_flush(SSL_get_wbio(b));
out:
        SSL_free(a);
        SSL_free(b);
        ERR_clear_error();
}

static void *connection(void *arg)
{
        int fd = (int)(intptr_t)arg, up = socket(AF_INET, SOCK_STREAM, 0);
        char b[2048];
        ssize_t n = recv(fd, b, sizeof b - 1, MSG_PEEK);
        if (n > 0 && b[0] == 'C') {
                b[n] = 0;
                char *end = strstr(b, "\r\n\r\n");
                if (!end || recv(fd, b, (size_t)(end + 4 - b), 0) < 0 ||
                    send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL) != 19)
                        n = 0;
        }
        nodelay(up);
        if (n > 0 && !connect(up, (struct sockaddr *)&target, sizeof target))
                inspect(fd, up);
        close(up);
        close(fd);
        return NULL;
}

int main(int argc, char **argv)
{
        if (argc != 6)
                die("usage: refmitm leaf.pem leaf.key origin-ca.pem ip:port target-ip:port");
        signal(SIGPIPE, SIG_IGN);
        target = parse_addr(argv[5]);
        front = SSL_CTX_new(TLS_server_method());
        back = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(back, SSL_VERIFY_PEER, NULL);
        for (int i = 0; i < 2; i++) { /* no AUTO_RETRY: a session ticket must not block SSL_read */
                SSL_CTX_clear_mode(i ? front : back, SSL_MODE_AUTO_RETRY);
                SSL_CTX_set_mode(i ? front : back, SSL_MODE_RELEASE_BUFFERS);
                SSL_CTX_set_read_ahead(i ? front : back, 1);
                SSL_CTX_set_default_read_buffer_len(i ? front : back, BATCH);
        }
        if (SSL_CTX_use_certificate_chain_file(front, argv[1]) != 1 ||
            SSL_CTX_use_PrivateKey_file(front, argv[2], SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_load_verify_locations(back, argv[3], NULL) != 1)
                die("cannot load certificates");
        int lfd = tcp_listen(argv[4]);
        pthread_attr_t at;
        pthread_attr_init(&at);
        pthread_attr_setstacksize(&at, 256 * 1024);
        pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
        for (int fd;;) {
                pthread_t t;
                if ((fd = accept(lfd, NULL, NULL)) < 0)
                        continue;
                nodelay(fd);
                if (pthread_create(&t, &at, connection, (void *)(intptr_t)fd))
                        close(fd);
        }
}
