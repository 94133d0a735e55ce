/* Does one thing of TLS inspection COUNT times: drive_inspect THING COUNT. A client, an origin and
 * the intercept between them take turns in this one thread, over socket pairs. count.py counts what
 * is done below intercept_drive only: what the relay spends, not the peers. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "inspect/intercept.h"
#include "inspect/leaf.h"

enum { PIECE = 16384, PIECES = 64, BODY_LEN = 1024 };

static const char request[] = "GET /simple/grove/ HTTP/1.1\r\nHost: index.example\r\n"
                              "User-Agent: pip/26.2\r\nAccept: */*\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                             "Cache-Control: max-age=600\r\nContent-Length: 1024\r\n\r\n";
static const char endless[] = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";

static struct ca *ca;
static struct trust *trust;
static struct record *record;
static struct inspector *inspector;
static uint64_t requests, visits;
static EVP_PKEY *root_key, *origin_key;
static X509 *root;
static SSL_CTX *client_ctx, *origin_ctx;

/* One connection: the peers' ends, and the intercept's. */
static SSL *client, *origin;
static int fds[2][2];
static struct intercept *intercept;

static void must(bool ok, const char *what)
{
        if (ok)
                return;
        fprintf(stderr, "drive_inspect: %s failed\n", what);
        exit(1);
}

/* ---- the peers ---- */

static void trust_root(void)
{
        char line[64], *env[] = {line, NULL};
        int fd = memfd_create("root", MFD_CLOEXEC);
        FILE *file = fdopen(dup(fd), "w");
        const char *problem;

        must(file && PEM_write_X509(file, root) && fclose(file) == 0, "writing the root");
        snprintf(line, sizeof line, "REQUESTS_CA_BUNDLE=/proc/self/fd/%d", fd);
        must(trust_load(&trust, env, &problem) == 0, "trust_load");
}

static void set_up(bool kept)
{
        ca = ca_new();
        root_key = EVP_EC_gen("P-256");
        origin_key = EVP_EC_gen("P-256");
        root = leaf_make_ca(root_key);
        trust_root();
        must(ca && record_open(&record, kept ? "/dev/null" : NULL) == 0, "record_open");
        inspector = inspector_new(ca, trust, record, INSPECTOR_ALWAYS);
        client_ctx = SSL_CTX_new(TLS_client_method());
        origin_ctx = SSL_CTX_new(TLS_server_method());
        must(inspector && client_ctx && origin_ctx, "setting up");
        SSL_CTX_use_PrivateKey(origin_ctx, origin_key);
}

static SSL *peer(SSL_CTX *ctx, int fd)
{
        SSL *ssl = SSL_new(ctx);

        fcntl(fd, F_SETFL, O_NONBLOCK);
        must(ssl && SSL_set_fd(ssl, fd) == 1, "SSL_new");
        return ssl;
}

static void make_peers(const char *name)
{
        X509 *cert = leaf_make(root, root_key, origin_key, name, NULL, true);

        must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[0]) == 0 &&
                     socketpair(AF_UNIX, SOCK_STREAM, 0, fds[1]) == 0,
             "socketpair");
        client = peer(client_ctx, fds[0][0]);
        origin = peer(origin_ctx, fds[1][1]);
        must(cert && SSL_use_certificate(origin, cert) == 1, "the origin's certificate");
        X509_free(cert);
        SSL_set_tlsext_host_name(client, name);
        SSL_set_connect_state(client);
        SSL_set_accept_state(origin);
}

/* ---- between them ---- */

static void drive(void)
{
        intercept_ready(intercept, true, EPOLLIN | EPOLLOUT);
        intercept_ready(intercept, false, EPOLLIN | EPOLLOUT);
        do
                must(intercept_drive(intercept) == INTERCEPT_BUSY, "intercept_drive");
        while (intercept_has_more(intercept));
}

static void make_intercept(const char *name)
{
        struct recorder_origin about = {.record = record,
                                        .next_request = &requests,
                                        .who = {.pid = 7, .exe = "/usr/bin/client"},
                                        .flow = 1,
                                        .scheme = "https",
                                        .host = name,
                                        .port = 443,
                                        .source = "relay"};
        struct intercept_setup setup = {.inspector = inspector,
                                        .origin = &about,
                                        .name = name,
                                        .address = "192.0.2.7",
                                        .client_fd = fds[0][1],
                                        .origin_fd = fds[1][0]};

        intercept = intercept_new(&setup);
        must(intercept != NULL, "intercept_new");
}

static void begin(const char *name)
{
        make_peers(name);
        make_intercept(name);
        for (int turns = 0; !SSL_is_init_finished(client) || !SSL_is_init_finished(origin);) {
                must(turns++ < 20, "the handshake");
                SSL_do_handshake(client);
                drive();
                SSL_do_handshake(origin);
                drive();
        }
}

static void send_all(SSL *from, const void *data, size_t len)
{
        must(SSL_write(from, data, (int)len) == (int)len, "SSL_write");
        drive();
}

static void receive_all(SSL *to, size_t len)
{
        char data[PIECE];

        while (len > 0) {
                int n = SSL_read(to, data, sizeof data);

                must(n > 0 && (size_t)n <= len, "SSL_read");
                len -= (size_t)n;
        }
}

static void end(void)
{
        intercept_free(intercept);
        SSL_free(client);
        SSL_free(origin);
        for (int i = 0; i < 4; i++)
                close(fds[i / 2][i % 2]);
}

/* ---- the things ---- */

static void exchange(void)
{
        char text[sizeof answer - 1 + BODY_LEN] = "";

        memcpy(text, answer, sizeof answer - 1);
        send_all(client, request, sizeof request - 1);
        receive_all(origin, sizeof request - 1);
        send_all(origin, text, sizeof text);
        receive_all(client, sizeof text);
}

static void begin_body(void)
{
        send_all(client, request, sizeof request - 1);
        receive_all(origin, sizeof request - 1);
        send_all(origin, endless, sizeof endless - 1);
        receive_all(client, sizeof endless - 1);
}

/* In fours, as an origin's fast connection has them ready. */
static void mebibyte(void)
{
        static const char piece[4 * PIECE];

        for (int i = 0; i < PIECES; i += 4) {
                send_all(origin, piece, sizeof piece);
                receive_all(client, sizeof piece);
        }
}

static void nothing(void)
{
}

/* The session with the origin is resumed, the leaf is there. */
static void revisit(void)
{
        begin("index.example");
        exchange();
        end();
}

static void first_visit(void)
{
        char name[64];

        snprintf(name, sizeof name, "h%llu.index.example", (unsigned long long)visits++);
        begin(name);
        exchange();
        end();
}

static const struct {
        const char *name;
        bool kept;            /* events are written */
        bool open;            /* on one connection, else each time on a new one */
        void (*before)(void); /* once */
        void (*once)(void);
} things[] = {{"exchange", false, true, nothing, exchange},
              {"exchange-recorded", true, true, nothing, exchange},
              {"mebibyte", true, true, begin_body, mebibyte},
              {"revisit", false, false, revisit, revisit},
              {"first-visit", false, false, nothing, first_visit}};

int main(int argc, char **argv)
{
        if (argc != 3)
                return 2;
        for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
                if (strcmp(things[i].name, argv[1]) != 0)
                        continue;
                set_up(things[i].kept);
                if (things[i].open)
                        begin("index.example");
                things[i].before();
                for (int n = atoi(argv[2]); n > 0; n--)
                        things[i].once();
                return 0;
        }
        fprintf(stderr, "drive_inspect: no such thing: %s\n", argv[1]);
        return 2;
}
