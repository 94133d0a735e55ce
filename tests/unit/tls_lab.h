/* A client and an origin with real OpenSSL, each in a thread of its own on a loopback connection,
 * and the intercept between them driven edge-triggered in the test's thread. Used by
 * test_intercept.c; the PKI comes from leaf.h, with a root that the trust is told of. */
#ifndef TLS_LAB_H
#define TLS_LAB_H

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "inspect/intercept.h"
#include "inspect/leaf.h"
#include "record/reader.h"

struct lab;
typedef void lab_script(struct lab *lab, SSL *ssl, int fd);

struct lab {
        /* set by the test before lab_run */
        lab_script *client, *origin;
        const char *name;                                  /* what the flow knows; NULL: nothing */
        const char *sni;                                   /* what the client says; NULL: nothing */
        const char *cert_name;                             /* the origin's */
        const char *sigalgs;                               /* the client's, or NULL */
        const char *alpn;                                  /* the client's list in wire format */
        const char *choice;                                /* of the origin from it */
        void (*prepare_client)(struct lab *lab, SSL *ssl); /* before their handshakes, or NULL */
        void (*prepare_origin)(struct lab *lab, SSL *ssl);
        int max_version;    /* of the client */
        size_t ech_len;     /* of an encrypted_client_hello extension that the client sends, or 0 */
        size_t early_len;   /* read from the client before the intercept exists */
        bool slow;          /* the client sends its hello byte by byte */
        bool client_trusts; /* the run's CA */
        bool origin_untrusted; /* its certificate comes from a root of its own */
        bool want_certificate; /* the origin asks for the client's */
        bool plain_client;     /* the script gets no handshake */
        bool plain_origin;
        bool expire; /* the intercept's time is over when nothing happens for idle_ms */
        enum inspector_mode mode;

        /* filled in */
        char dir[64], record_path[96];
        struct ca *ca;
        struct trust *trust;
        struct record *record;
        struct inspector *inspector;
        struct intercept *ic;
        EVP_PKEY *root_key, *key;
        X509 *root;
        uint64_t next_request;
        int client_fd, origin_fd;             /* of the peers */
        int relay_client_fd, relay_origin_fd; /* of the intercept */
        int idle_ms;    /* the longest wait for readiness before the test fails */
        int waits;      /* times that it had to be driven without an event */
        uint64_t limit; /* as it was when the time was over */
        enum intercept_result result;
        struct intercept_end end;
        char reason[200];
        unsigned char hello[65536]; /* as the client sent it */
        size_t hello_len;
        unsigned char passed[65536]; /* as intercept_hello gave it back */
        size_t passed_len;
        bool client_up, origin_up;
        char client_alpn[16], client_version[16], client_issuer[256], client_key[16];
        unsigned char origin_offer[64]; /* the ALPN list that the origin saw */
        size_t origin_offer_len;
        char origin_sni[128];
        struct record_events events;
};

/* ---- set up ---- */

static inline void lab_write_pem(const char *path, X509 *cert)
{
        FILE *file = fopen(path, "w");

        assert(file && PEM_write_X509(file, cert));
        fclose(file);
}

static inline int lab_set_up(void **state)
{
        struct lab *lab = calloc(1, sizeof *lab);
        char pem[96], line[128];
        const char *problem;

        strcpy(lab->dir, "/tmp/test-intercept-XXXXXX");
        if (!mkdtemp(lab->dir))
                return -1;
        lab->root_key = EVP_EC_gen("P-256");
        lab->key = EVP_EC_gen("P-256");
        lab->root = leaf_make_ca(lab->root_key);
        snprintf(pem, sizeof pem, "%s/root.pem", lab->dir);
        lab_write_pem(pem, lab->root);
        snprintf(line, sizeof line, "REQUESTS_CA_BUNDLE=%s", pem);
        char *env[] = {line, NULL};
        snprintf(lab->record_path, sizeof lab->record_path, "%s/record.jsonl", lab->dir);
        lab->ca = ca_new();
        if (trust_load(&lab->trust, env, &problem) < 0 || !lab->ca ||
            record_open(&lab->record, lab->record_path) < 0)
                return -1;
        lab->name = lab->sni = lab->cert_name = "index.example";
        lab->alpn = "\x02h2\x08http/1.1";
        lab->choice = "http/1.1";
        lab->max_version = TLS1_3_VERSION;
        lab->client_trusts = true;
        lab->idle_ms = 10000;
        *state = lab;
        return 0;
}

static inline int lab_tear_down(void **state)
{
        struct lab *lab = *state;
        char command[128];

        record_events_free(&lab->events);
        inspector_free(lab->inspector);
        record_free(lab->record);
        trust_free(lab->trust);
        ca_free(lab->ca);
        X509_free(lab->root);
        EVP_PKEY_free(lab->root_key);
        EVP_PKEY_free(lab->key);
        snprintf(command, sizeof command, "rm -rf '%s'", lab->dir);
        free(lab);
        return system(command);
}

/* Two ends of a loopback connection: resets and half-closes are as in real life. */
static inline void lab_connect(int *near, int *far)
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof to;
        int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

        assert(bind(listener, (struct sockaddr *)&to, len) == 0 && listen(listener, 1) == 0);
        assert(getsockname(listener, (struct sockaddr *)&to, &len) == 0);
        *near = socket(AF_INET, SOCK_STREAM, 0);
        assert(connect(*near, (struct sockaddr *)&to, len) == 0);
        *far = accept(listener, NULL, NULL);
        assert(*far >= 0);
        close(listener);
        setsockopt(*near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(*far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline void lab_reset(int fd)
{
        struct linger linger = {.l_onoff = 1};

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* ---- the client's thread ---- */

/* Says nothing that anybody could decrypt: what GREASE looks like, and what a real one looks like
 * to us. */
static inline int lab_on_ech(SSL *ssl, unsigned type, unsigned context, const unsigned char **out,
                             size_t *len, X509 *cert, size_t chain, int *alert, void *arg)
{
        static unsigned char noise[UINT16_MAX];
        struct lab *lab = arg;

        (void)ssl, (void)type, (void)context, (void)cert, (void)chain, (void)alert;
        memset(noise, 0x5a, sizeof noise);
        noise[0] = 0; /* outer */
        *out = noise;
        *len = lab->ech_len;
        return 1;
}

static inline SSL *lab_client_ssl(struct lab *lab, SSL_CTX *ctx)
{
        enum { ENCRYPTED_CLIENT_HELLO = 0xfe0d };

        if (lab->ech_len)
                assert(SSL_CTX_add_custom_ext(ctx, ENCRYPTED_CLIENT_HELLO, SSL_EXT_CLIENT_HELLO,
                                              lab_on_ech, NULL, lab, NULL, NULL) == 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), lab->root);
        if (lab->client_trusts)
                X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca_certificate(lab->ca));
        if (lab->max_version < TLS1_2_VERSION)
                SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(ctx, lab->max_version);
        if (lab->sigalgs)
                assert(SSL_CTX_set1_sigalgs_list(ctx, lab->sigalgs) == 1);
        if (lab->alpn)
                SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)lab->alpn,
                                        (unsigned)strlen(lab->alpn));
        SSL *ssl = SSL_new(ctx);
        SSL_set_connect_state(ssl);
        if (lab->prepare_client)
                lab->prepare_client(lab, ssl);
        if (lab->sni) {
                SSL_set_tlsext_host_name(ssl, lab->sni);
                SSL_set1_host(ssl, lab->sni);
        }
        return ssl;
}

/* Make the hello in memory, so that the test knows its bytes and decides about their pieces. */
static inline void lab_send_hello(struct lab *lab, SSL *ssl)
{
        size_t step;
        BIO *out = BIO_new(BIO_s_mem());

        SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
        SSL_do_handshake(ssl);
        lab->hello_len = (size_t)BIO_read(out, lab->hello, sizeof lab->hello);
        step = lab->slow ? 1 : lab->hello_len;
        for (size_t at = 0; at < lab->hello_len; at += step)
                if (send(lab->client_fd, lab->hello + at, step, MSG_NOSIGNAL) < 0)
                        return;
}

static inline void lab_note_client(struct lab *lab, SSL *ssl)
{
        const unsigned char *alpn;
        unsigned len;
        X509 *cert = SSL_get0_peer_certificate(ssl);

        SSL_get0_alpn_selected(ssl, &alpn, &len);
        snprintf(lab->client_alpn, sizeof lab->client_alpn, "%.*s", (int)len,
                 alpn ? (const char *)alpn : "");
        snprintf(lab->client_version, sizeof lab->client_version, "%s", SSL_get_version(ssl));
        X509_NAME_oneline(X509_get_issuer_name(cert), lab->client_issuer,
                          sizeof lab->client_issuer);
        snprintf(lab->client_key, sizeof lab->client_key, "%s",
                 EVP_PKEY_is_a(X509_get0_pubkey(cert), "RSA") ? "RSA" : "EC");
        lab->client_up = true;
}

static inline void *lab_client_thread(void *arg)
{
        struct lab *lab = arg;
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        SSL *ssl = NULL;

        if (!lab->plain_client) {
                ssl = lab_client_ssl(lab, ctx);
                lab_send_hello(lab, ssl);
                SSL_set_fd(ssl, lab->client_fd);
                if (SSL_do_handshake(ssl) == 1)
                        lab_note_client(lab, ssl);
        }
        if (lab->client && (lab->client_up || lab->plain_client))
                lab->client(lab, ssl, lab->client_fd);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
        close(lab->client_fd);
        return NULL;
}

/* ---- the origin's thread ---- */

static inline int lab_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                              const unsigned char *in, unsigned in_len, void *arg)
{
        struct lab *lab = arg;

        (void)ssl;
        memcpy(lab->origin_offer, in, in_len);
        lab->origin_offer_len = in_len;
        for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
                *out = in + at + 1;
                *out_len = in[at];
                if (*out_len == strlen(lab->choice) && !memcmp(*out, lab->choice, *out_len))
                        return SSL_TLSEXT_ERR_OK;
        }
        return SSL_TLSEXT_ERR_NOACK;
}

static inline int lab_on_client_cert(int ok, X509_STORE_CTX *ctx)
{
        (void)ok;
        (void)ctx;
        return 1;
}

static inline SSL *lab_origin_ssl(struct lab *lab, SSL_CTX *ctx)
{
        EVP_PKEY *other_key = EVP_EC_gen("P-256");
        X509 *other_root = leaf_make_ca(other_key);
        X509 *cert =
                lab->origin_untrusted
                        ? leaf_make(other_root, other_key, lab->key, lab->cert_name, NULL, true)
                        : leaf_make(lab->root, lab->root_key, lab->key, lab->cert_name, NULL, true);

        SSL_CTX_use_certificate(ctx, cert);
        SSL_CTX_use_PrivateKey(ctx, lab->key);
        SSL_CTX_set_alpn_select_cb(ctx, lab_on_alpn, lab);
        if (lab->want_certificate)
                SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, lab_on_client_cert);
        X509_free(cert);
        X509_free(other_root);
        EVP_PKEY_free(other_key);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, lab->origin_fd);
        if (lab->prepare_origin)
                lab->prepare_origin(lab, ssl);
        return ssl;
}

static inline void *lab_origin_thread(void *arg)
{
        struct lab *lab = arg;
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        SSL *ssl = NULL;

        if (!lab->plain_origin) {
                ssl = lab_origin_ssl(lab, ctx);
                lab->origin_up = SSL_accept(ssl) == 1;
                if (lab->origin_up && SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
                        snprintf(lab->origin_sni, sizeof lab->origin_sni, "%s",
                                 SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
        }
        if (lab->origin && (lab->origin_up || lab->plain_origin))
                lab->origin(lab, ssl, lab->origin_fd);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
        close(lab->origin_fd);
        return NULL;
}

/* ---- the relay, in the test's thread ---- */

static inline void lab_watch(int epoll_fd, int fd)
{
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.fd = fd};

        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        assert(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

static inline bool is_short(uint64_t limit)
{
        return limit > 0 && limit < 1000;
}

static inline int wait_ms(const struct lab *lab)
{
        uint64_t limit = intercept_limit(lab->ic);

        return is_short(limit) ? (int)limit : lab->idle_ms;
}

static inline void lab_drive(struct lab *lab)
{
        int epoll_fd = epoll_create1(0);
        struct epoll_event events[4];

        lab_watch(epoll_fd, lab->relay_client_fd);
        lab_watch(epoll_fd, lab->relay_origin_fd);
        while ((lab->result = intercept_drive(lab->ic)) == INTERCEPT_BUSY) {
                int n = intercept_has_more(lab->ic) ? 0
                                                    : epoll_wait(epoll_fd, events, 4, wait_ms(lab));
                for (int i = 0; i < n; i++)
                        intercept_ready(lab->ic, events[i].data.fd == lab->relay_client_fd,
                                        events[i].events);
                if (n || intercept_has_more(lab->ic))
                        continue;
                lab->limit = intercept_limit(lab->ic);
                if (is_short(lab->limit)) {
                        lab->waits++;
                        lab->result = intercept_expire(lab->ic);
                        if (lab->result == INTERCEPT_BUSY)
                                continue;
                        break;
                }
                if (lab->expire)
                        lab->result = intercept_expire(lab->ic);
                break; /* else a hang; the test sees BUSY */
        }
        close(epoll_fd);
}

static inline void lab_start(struct lab *lab)
{
        struct recorder_origin origin = {
                .record = lab->record,
                .next_request = &lab->next_request,
                .who = {.pid = 7, .exe = "/usr/bin/client"},
                .flow = 3,
                .scheme = "https",
                .host = "index.example",
                .port = 443,
                .source = "relay",
        };
        char early[256];

        assert(lab->early_len <= sizeof early);
        if (lab->early_len)
                assert(recv(lab->relay_client_fd, early, lab->early_len, MSG_WAITALL) ==
                       (ssize_t)lab->early_len);
        struct intercept_setup setup = {
                .inspector = lab->inspector,
                .origin = &origin,
                .name = lab->name,
                .address = "127.0.0.1",
                .client_fd = lab->relay_client_fd,
                .origin_fd = lab->relay_origin_fd,
                .early = early,
                .early_len = lab->early_len,
        };
        lab->ic = intercept_new(&setup);
        assert(lab->ic);
}

static inline void lab_keep_result(struct lab *lab)
{
        const char *hello = intercept_hello(lab->ic, &lab->passed_len);

        if (lab->result == INTERCEPT_PASS && lab->passed_len)
                memcpy(lab->passed, hello, lab->passed_len);
        lab->end = *intercept_end(lab->ic);
        snprintf(lab->reason, sizeof lab->reason, "%s", lab->end.reason ? lab->end.reason : "");
        if (lab->result == INTERCEPT_CLOSED && lab->end.abort_client)
                lab_reset(lab->relay_client_fd);
        if (lab->result == INTERCEPT_CLOSED && lab->end.abort_origin)
                lab_reset(lab->relay_origin_fd);
}

static inline void lab_run(struct lab *lab)
{
        pthread_t client, origin;

        if (!lab->inspector)
                lab->inspector = inspector_new(lab->ca, lab->trust, lab->record, lab->mode);
        assert(lab->inspector);
        lab->client_up = lab->origin_up = false;
        lab_connect(&lab->client_fd, &lab->relay_client_fd);
        lab_connect(&lab->relay_origin_fd, &lab->origin_fd);
        pthread_create(&client, NULL, lab_client_thread, lab);
        pthread_create(&origin, NULL, lab_origin_thread, lab);
        lab_start(lab);
        lab_drive(lab);
        lab_keep_result(lab);
        close(lab->relay_client_fd);
        close(lab->relay_origin_fd);
        pthread_join(client, NULL);
        pthread_join(origin, NULL);
        intercept_free(lab->ic);
        lab->ic = NULL;
        record_flush(lab->record);
        record_events_free(&lab->events);
        /* No event at all is a record, too. */
        int error = record_read(lab->record_path, &lab->events);
        assert(error == 0 || error == -ENODATA);
}

/* ---- the record ---- */

/* The last event of that kind; key NULL: any, else the one whose string key has this value. */
static inline const json_t *lab_event(const struct lab *lab, const char *kind, const char *key,
                                      const char *value)
{
        for (size_t i = lab->events.count; i > 0; i--) {
                const json_t *e = lab->events.items[i - 1];
                const char *text = key ? json_string_value(json_object_get(e, key)) : NULL;
                if (!strcmp(json_string_value(json_object_get(e, "event")), kind) &&
                    (!key || (text && !strcmp(text, value))))
                        return e;
        }
        return NULL;
}

static inline const char *lab_str(const json_t *event, const char *key)
{
        const char *text = json_string_value(json_object_get(event, key));

        return text ? text : "";
}

#endif
