/* load.c - the client: reaches the origin straight or through a relay, and reports one JSON line.
 *
 *   load MODE [options] target-ip:port
 *     check  one tunnel: verify 8 MiB of body, print the facts, hold it open until stdin closes
 *     bulk   -n workers, each downloads one body of -b bytes, for at most -s seconds
 *     conn   -n workers, each a new connection per request, for -s seconds
 *     keep   -n workers, each one connection, many requests, for -s seconds
 *     idle   -n workers together open -m tunnels (one request each), and hold until stdin closes
 *   -v KIND=ip:port  how to get through: connect= (HTTP CONNECT), socks5=, redirect= (dial relay)
 *   -T ca.pem        TLS, trusting only this CA   -H name  SNI and certificate name
 *   -V               a fresh SNI h<i>-<j>.<name> per connection (forces a new leaf certificate)
 *   -K               'conn' without "Connection: close": we hang up after the answer, as an HTTP
 *                    client that gives up a kept-alive connection does
 *
 * Workers are processes, not threads, so that a preload shim that is not thread-safe still runs.
 * The client's own address is 127.0.0.2. Every response carries the address the origin saw
 * (X-Peer): 'direct' counts the responses where that was this client, 'relayed' those where it was
 * not. */
#include "common.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SELF "127.0.0.2"
enum { MAX_LAT = 400000, RBUF = 256 * 1024 };
enum via { NONE, CONNECT, SOCKS5, REDIRECT };

struct worker {
        uint64_t count, errors, bytes, relayed, direct, t_first, t_last;
        uint32_t nlat, lat_us10[MAX_LAT]; /* tenths of a microsecond */
        char why[160];
};

struct conn {
        int fd;
        SSL *ssl;
        size_t have; /* bytes of buf that are body already read together with the header */
        uint64_t length;
        char name[128], xpeer[40], xtls[80];
};

static struct {
        const char *target, *via_addr, *ca, *host;
        enum via via;
        int n, vary, keep, m, by_port;
        double seconds;
        uint64_t bytes;
} opt = {.n = 1, .seconds = 1, .bytes = 1024, .m = 1000, .host = "origin.test"};

static struct sockaddr_in target, hop, self;
static SSL_CTX *ctx;
static char *buf;
static const char *why = "";
static volatile uint64_t *start_at;

static int fail(const char *w)
{
        why = w;
        return -1;
}

static int send_all(int fd, const void *p, size_t n)
{
        for (ssize_t k; n; p = (const char *)p + k, n -= (size_t)k)
                if ((k = send(fd, p, n, MSG_NOSIGNAL)) <= 0)
                        return -1;
        return 0;
}

static int recv_all(int fd, void *p, size_t n)
{
        for (ssize_t k; n; p = (char *)p + k, n -= (size_t)k)
                if ((k = recv(fd, p, n, 0)) <= 0)
                        return -1;
        return 0;
}

static int http_connect(int fd)
{
        char b[1024];
        size_t n = (size_t)snprintf(b, sizeof b, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n",
                                    opt.target, opt.target);
        if (send_all(fd, b, n))
                return fail("send CONNECT");
        for (n = 0; n < sizeof b - 1;) { /* nothing follows the header until we speak */
                ssize_t k = recv(fd, b + n, sizeof b - 1 - n, 0);
                if (k <= 0)
                        return fail("no CONNECT answer");
                b[n += (size_t)k] = 0;
                if (strstr(b, "\r\n\r\n"))
                        return strncmp(b + 8, " 200", 4) ? fail("CONNECT refused") : 0;
        }
        return fail("CONNECT answer too long");
}

static int socks5(int fd)
{
        unsigned char r[10] = {5, 1, 0, 1};
        if (send_all(fd, "\5\1\0", 3) || recv_all(fd, r, 2) || r[0] != 5 || r[1] != 0)
                return fail("SOCKS5 greeting");
        unsigned char q[10] = {5, 1, 0, 1};
        memcpy(q + 4, &target.sin_addr, 4);
        memcpy(q + 8, &target.sin_port, 2);
        if (send_all(fd, q, 10) || recv_all(fd, r, 10) || r[1] != 0)
                return fail("SOCKS5 refused");
        return 0;
}

static void hang_up(struct conn *c)
{
        if (c->ssl) {
                SSL_shutdown(c->ssl);
                SSL_free(c->ssl);
        }
        if (c->fd >= 0)
                close(c->fd);
        ERR_clear_error();
}

static int dial(struct conn *c, uint64_t serial)
{
        memset(c, 0, sizeof *c);
        struct timeval tv = {.tv_sec = 10};
        struct sockaddr_in *to = opt.via == NONE ? &target : &hop;
        if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0)
                return fail("socket");
        setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
        setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
        nodelay(c->fd);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
        if (!opt.by_port && bind(c->fd, (struct sockaddr *)&self, sizeof self))
                return fail("bind to " SELF);
        if (connect(c->fd, (struct sockaddr *)to, sizeof *to))
                return fail(strerror(errno));
        if ((opt.via == CONNECT && http_connect(c->fd)) || (opt.via == SOCKS5 && socks5(c->fd)))
                return -1;
        if (opt.vary)
                snprintf(c->name, sizeof c->name, "h%d-%llu.%s", (int)getpid(),
                         (unsigned long long)serial, opt.host);
        else
                snprintf(c->name, sizeof c->name, "%s", opt.host);
        if (!ctx)
                return 0;
        c->ssl = SSL_new(ctx);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_tlsext_host_name(c->ssl, c->name);
        SSL_set1_host(c->ssl, c->name);
        if (SSL_connect(c->ssl) != 1) {
                long v = SSL_get_verify_result(c->ssl);
                return fail(v != X509_V_OK ? X509_verify_cert_error_string(v) : "TLS handshake");
        }
        return 0;
}

static ssize_t get(struct conn *c, void *p, size_t n)
{
        return c->ssl ? SSL_read(c->ssl, p, (int)n) : recv(c->fd, p, n, 0);
}

static void field(const char *name, char *out, size_t n)
{
        const char *p = strcasestr(buf, name);
        size_t len = p ? strcspn(p += strlen(name), "\r\n") : 0;
        snprintf(out, n, "%.*s", (int)len, p ? p : "");
}

/* Sends one GET and reads as far as the header; the body's first bytes end up at buf[0..have). */
static int request(struct conn *c, uint64_t bytes, int last)
{
        char q[320];
        int qn = snprintf(q, sizeof q, "GET /bytes/%llu HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n",
                          (unsigned long long)bytes, c->name, ntohs(target.sin_port),
                          last ? "Connection: close\r\n" : "");
        if (c->ssl ? SSL_write(c->ssl, q, qn) != qn : send_all(c->fd, q, (size_t)qn))
                return fail("send request");
        size_t n = 0;
        for (char *end;;) {
                ssize_t k = get(c, buf + n, RBUF - 1 - n);
                if (k <= 0)
                        return fail("no response");
                buf[n += (size_t)k] = 0;
                if (!(end = memmem(buf, n, "\r\n\r\n", 4)))
                        continue;
                if (strncmp(buf + 8, " 200", 4))
                        return fail("response is not 200");
                char len[24];
                *end = 0;
                field("\r\nContent-Length: ", len, sizeof len);
                field("\r\nX-Peer: ", c->xpeer, sizeof c->xpeer);
                field("\r\nX-Tls: ", c->xtls, sizeof c->xtls);
                c->length = strtoull(len, NULL, 10);
                end += 4;
                memmove(buf, end, c->have = n - (size_t)(end - buf));
                return c->length == bytes ? 0 : fail("wrong Content-Length");
        }
}

/* Reads the body to its end or to the deadline; returns the bytes read, -1 on a broken stream. */
static int64_t body(struct conn *c, uint64_t deadline)
{
        uint64_t got = c->have;
        while (got < c->length && (!deadline || now_ns() < deadline)) {
                ssize_t k = get(c, buf, RBUF);
                if (k <= 0)
                        return fail("body cut short");
                got += (uint64_t)k;
        }
        return (int64_t)got;
}

static int is_direct(const struct conn *c)
{
        struct sockaddr_in own = {0};
        socklen_t len = sizeof own;
        const char *colon = strrchr(c->xpeer, ':');

        if (!opt.by_port)
                return strncmp(c->xpeer, SELF ":", sizeof SELF) == 0;
        /* The raw call: what the preloaded library answers costs a message, and is no part of a
         * connection. The port is the same. */
        return syscall(SYS_getsockname, c->fd, &own, &len) == 0 && colon != NULL &&
               atoi(colon + 1) == ntohs(own.sin_port);
}

static void tally(struct worker *w, const struct conn *c)
{
        is_direct(c) ? w->direct++ : w->relayed++;
}

static void run_worker(struct worker *w, char mode)
{
        struct conn c = {.fd = -1};
        int streak = 0, open = 0;
        while (!*start_at)
                usleep(100);
        uint64_t t0 = w->t_first = now_ns(), end = t0 + (uint64_t)(opt.seconds * 1e9);
        for (uint64_t t, i = 0; (t = now_ns()) < end && streak < 10 && w->nlat < MAX_LAT; i++) {
                int64_t got = -1;
                if ((open || (open = !dial(&c, i))) &&
                    !request(&c, opt.bytes, mode == 'c' && !opt.keep))
                        got = body(&c, mode == 'b' ? end : 0);
                if (got < 0) {
                        w->errors++, streak++;
                        snprintf(w->why, sizeof w->why, "%s", why);
                        hang_up(&c), open = 0;
                        continue;
                }
                streak = 0, w->count++, w->bytes += (uint64_t)got;
                tally(w, &c);
                if (mode != 'k')
                        hang_up(&c), open = 0;
                w->lat_us10[w->nlat++] = (uint32_t)((now_ns() - t) / 100);
                w->t_last = now_ns();
                if (mode == 'b')
                        break;
        }
        if (open)
                hang_up(&c);
        _exit(0);
}

static int by_value(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
        return x < y ? -1 : x > y;
}

static void load(char mode)
{
        size_t size = sizeof(struct worker) * (size_t)opt.n + 64;
        char *shm = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        struct worker *w = (void *)(shm + 64), s = {.t_first = ~0ull};
        start_at = (void *)shm;
        for (int i = 0; i < opt.n; i++)
                if (fork() == 0)
                        run_worker(&w[i], mode);
        usleep(10000 + 500 * (unsigned)opt.n);
        *start_at = 1;
        while (wait(NULL) > 0)
                ;
        uint32_t *lat = malloc(sizeof *lat * (size_t)MAX_LAT * (size_t)opt.n), nlat = 0;
        for (int i = 0; i < opt.n; i++) {
                s.count += w[i].count, s.errors += w[i].errors, s.bytes += w[i].bytes;
                s.relayed += w[i].relayed, s.direct += w[i].direct;
                if (w[i].t_first && w[i].t_first < s.t_first)
                        s.t_first = w[i].t_first;
                if (w[i].t_last > s.t_last)
                        s.t_last = w[i].t_last;
                if (w[i].why[0])
                        memcpy(s.why, w[i].why, sizeof s.why);
                memcpy(lat + nlat, w[i].lat_us10, sizeof *lat * w[i].nlat);
                nlat += w[i].nlat;
        }
        qsort(lat, nlat, sizeof *lat, by_value);
        struct rusage ru;
        getrusage(RUSAGE_CHILDREN, &ru);
        double secs = s.t_last > s.t_first ? (double)(s.t_last - s.t_first) / 1e9 : 0;
        double cpu = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                     (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
        printf("{\"seconds\":%.4f,\"bytes\":%llu,\"count\":%llu,\"errors\":%llu,\"relayed\":%llu,"
               "\"direct\":%llu,"
               "\"mb_s\":%.1f,\"per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"client_cpu_s\":%.3f,"
               "\"why\":\"%s\"}\n",
               secs, (unsigned long long)s.bytes, (unsigned long long)s.count,
               (unsigned long long)s.errors, (unsigned long long)s.relayed,
               (unsigned long long)s.direct, secs > 0 ? (double)s.bytes / 1e6 / secs : 0,
               secs > 0 ? (double)s.count / secs : 0, nlat ? lat[nlat / 2] / 10.0 : 0,
               nlat ? lat[(uint64_t)nlat * 99 / 100] / 10.0 : 0, cpu, s.why);
}

static void wait_for_stdin(void)
{
        char b[16];
        fflush(stdout);
        while (read(0, b, sizeof b) > 0)
                ;
}

static void print_cert(SSL *ssl)
{
        X509 *x = SSL_get1_peer_certificate(ssl);
        char issuer[128] = "";
        X509_NAME_get_text_by_NID(X509_get_issuer_name(x), NID_commonName, issuer, sizeof issuer);
        EVP_PKEY *k = X509_get0_pubkey(x);
        printf(",\"issuer\":\"%s\",\"leaf\":\"%s-%d\",\"tls\":\"%s %s\"", issuer,
               EVP_PKEY_get0_type_name(k), EVP_PKEY_get_bits(k), SSL_get_version(ssl),
               SSL_get_cipher(ssl));
        X509_free(x);
}

static void check(void)
{
        struct conn c;
        unsigned char *pat = malloc(PATTERN);
        uint64_t got = 0, bad = 0;
        fill_pattern(pat);
        opt.bytes = 8u << 20;
        if (dial(&c, 0) || request(&c, opt.bytes, 0))
                die("check: %s", why);
        for (size_t have = c.have; got < c.length;) {
                for (size_t i = 0; i < have; i++)
                        bad += (unsigned char)buf[i] != pat[(got + i) % PATTERN];
                got += have;
                if (got == c.length)
                        break;
                ssize_t k = get(&c, buf, RBUF);
                if (k <= 0)
                        die("check: body cut short at %llu", (unsigned long long)got);
                have = (size_t)k;
        }
        printf("{\"bytes\":%llu,\"bad_bytes\":%llu,\"xpeer\":\"%s\",\"direct\":%d,\"origin_tls\":"
               "\"%s\",\"pid\":%d",
               (unsigned long long)got, (unsigned long long)bad, c.xpeer, is_direct(&c), c.xtls,
               (int)getpid());
        if (c.ssl)
                print_cert(c.ssl);
        printf("}\n");
        wait_for_stdin();
        hang_up(&c);
}

/* One worker of 'idle': opens its share of the tunnels and keeps them until the parent ends it. */
static void hold_tunnels(struct worker *w, int share)
{
        struct conn *all = calloc((size_t)share, sizeof *all);
        uint64_t end = now_ns() + (uint64_t)(opt.seconds * 1e9);
        for (; w->count < (uint64_t)share && now_ns() < end; w->count++) {
                struct conn *c = &all[w->count];
                if (dial(c, w->count) || request(c, 64, 0) || body(c, 0) < 0) {
                        snprintf(w->why, sizeof w->why, "%s", why);
                        break;
                }
                tally(w, c);
        }
        w->t_last = now_ns(); /* the sign that this worker is ready */
        for (;;)
                pause();
}

static void idle(void)
{
        struct worker *w = mmap(NULL, sizeof *w * (size_t)opt.n, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                      s = {0};
        pid_t *pid = calloc((size_t)opt.n, sizeof *pid);
        for (int i = 0; i < opt.n; i++)
                if (!(pid[i] = fork())) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        hold_tunnels(&w[i], opt.m / opt.n + (i < opt.m % opt.n));
                }
        for (int i = 0; i < opt.n; i++) {
                while (!*(volatile uint64_t *)&w[i].t_last && waitpid(pid[i], NULL, WNOHANG) == 0)
                        usleep(10000);
                s.count += w[i].count, s.relayed += w[i].relayed, s.direct += w[i].direct;
                if (w[i].why[0])
                        memcpy(s.why, w[i].why, sizeof s.why);
        }
        printf("{\"open\":%d,\"relayed\":%llu,\"direct\":%llu,\"why\":\"%s\"}\n", (int)s.count,
               (unsigned long long)s.relayed, (unsigned long long)s.direct,
               (int)s.count == opt.m ? ""
               : *s.why              ? s.why
                                     : "time limit");
        wait_for_stdin();
        for (int i = 0; i < opt.n; i++)
                kill(pid[i], SIGKILL); /* the kernel closes the tunnels */
        while (wait(NULL) > 0)
                ;
}

int main(int argc, char **argv)
{
        const char *usage =
                "usage: load check|bulk|conn|keep|idle [options] ip:port (see the source)";
        static const struct {
                const char *name;
                enum via kind;
        } kinds[] = {{"connect=", CONNECT}, {"socks5=", SOCKS5}, {"redirect=", REDIRECT}};
        if (argc < 3)
                die("%s", usage);
        char mode = argv[1][0] == 'c' ? argv[1][1] : argv[1][0]; /* h(check) o(conn) b k i */
        optind = 2;
        for (int o; (o = getopt(argc, argv, "n:s:b:m:v:T:H:VKP")) != -1;) {
                if (o == 'n')
                        opt.n = atoi(optarg);
                else if (o == 's')
                        opt.seconds = atof(optarg);
                else if (o == 'b')
                        opt.bytes = strtoull(optarg, NULL, 10);
                else if (o == 'm')
                        opt.m = atoi(optarg);
                else if (o == 'T')
                        opt.ca = optarg;
                else if (o == 'H')
                        opt.host = optarg;
                else if (o == 'V')
                        opt.vary = 1;
                else if (o == 'K')
                        opt.keep = 1;
                else if (o == 'P')
                        opt.by_port = 1;
                else if (o == 'v') {
                        for (int i = 0; i < 3; i++)
                                if (!strncmp(optarg, kinds[i].name, strlen(kinds[i].name)))
                                        opt.via = kinds[i].kind,
                                        opt.via_addr = optarg + strlen(kinds[i].name);
                        if (!opt.via)
                                die("bad -v %s", optarg);
                } else
                        die("%s", usage);
        }
        if (optind >= argc)
                die("%s", usage);
        self = parse_addr(SELF ":0");
        target = parse_addr(opt.target = argv[optind]);
        if (opt.via)
                hop = parse_addr(opt.via_addr);
        signal(SIGPIPE, SIG_IGN);
        buf = malloc(RBUF);
        if (opt.ca) {
                ctx = SSL_CTX_new(TLS_client_method());
                SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
                SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
                if (SSL_CTX_load_verify_locations(ctx, opt.ca, NULL) != 1)
                        die("cannot load %s", opt.ca);
        }
        if (mode == 'h')
                check();
        else if (mode == 'i')
                idle();
        else if (mode == 'b' || mode == 'k')
                load(mode);
        else if (mode == 'o')
                load('c');
        else
                die("%s", usage);
        return 0;
}
