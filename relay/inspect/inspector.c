/* inspector.c: what the intercepted connections of a run share. Owns the SSL contexts and thereby
 * every setting that keeps interception as safe as the connection was; the callbacks that need a
 * connection are in handshake.c. Used by intercept.c and by net/. */
#include "inspect/inspector.h"
#include "inspect/handshake.h"
#include "inspect/secret_file.h"
#include "inspect/wire.h"
#include "record/hash.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

enum {
        DISTRUSTED_CAP = 256,
        SPARE_CAP = 32, /* half a megabyte: what a busy turn of the loop uses at once */
        NAME_CAP = 256,
        SKIPPED_EARLY_DATA = 1 << 20,
        READ_BUFFER = 65536 + 1024,
};

struct distrusted {
        UT_hash_handle hh;
        char name[NAME_CAP];
};

/* What clients are answered with: authenticated encryption with a key exchange of its own. The
 * cheapest is first, unless the client, for want of AES in hardware, would rather have ChaCha20. */
#define CLIENT_CIPHERS_1_3                                                                         \
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CLIENT_CIPHERS_1_2 "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20"

static void set_common(SSL_CTX *ctx)
{
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
        /* As much at a time as has come; client.c fits the buffer to records when it knows them. */
        SSL_CTX_set_read_ahead(ctx, 1);
        SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_info_callback(ctx, handshake_on_info);
}

/* A resumed session would hide our certificate, and with it whether the client trusts it. Early
 * data (for a session that the client had with the origin) is never taken: it is skipped, and the
 * client sends it again (RFC 8446 section 4.2.10). */
static SSL_CTX *client_context_new(struct inspector *in)
{
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

        if (!ctx)
                return NULL;
        set_common(ctx);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA);
        if (!SSL_CTX_set_ciphersuites(ctx, CLIENT_CIPHERS_1_3) ||
            !SSL_CTX_set_cipher_list(ctx, CLIENT_CIPHERS_1_2)) {
                SSL_CTX_free(ctx);
                return NULL;
        }
        SSL_CTX_set_num_tickets(ctx, 0);
        SSL_CTX_set_recv_max_early_data(ctx, SKIPPED_EARLY_DATA);
        SSL_CTX_set_client_hello_cb(ctx, handshake_on_hello, in);
        SSL_CTX_set_alpn_select_cb(ctx, handshake_on_alpn, in);
        return ctx;
}

static SSL_CTX *origin_context_new(void)
{
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

        if (!ctx)
                return NULL;
        set_common(ctx);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, handshake_on_verify);
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
        SSL_CTX_set_cert_verify_callback(ctx, handshake_on_chain, NULL);
        SSL_CTX_set_client_cert_cb(ctx, handshake_on_certificate_request);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, handshake_on_session);
        return ctx;
}

int inspector_prepare(struct inspector *in)
{
        X509_STORE *store = in->trusting ? NULL : trust_store(in->trust);

        if (in->trusting)
                return 0;
        if (!store)
                return -ENOMEM;
        SSL_CTX_set1_cert_store(in->origin_ctx, store);
        in->trusting = true;
        return 0;
}

void inspector_load(struct inspector *in)
{
        trust_store(in->trust);
}

struct inspector *inspector_new(struct ca *ca, struct trust *trust, struct record *record,
                                enum inspector_mode mode)
{
        struct inspector *in = calloc(1, sizeof *in);

        if (!in)
                return NULL;
        in->ca = ca;
        in->trust = trust;
        in->record = record;
        in->mode = mode;
        in->keylog = -1;
        in->wire = wire_method_new();
        in->client_ctx = client_context_new(in);
        in->origin_ctx = origin_context_new();
        in->resume = resume_new();
        in->corks[0] = malloc(WIRE_CORK);
        in->corks[1] = malloc(WIRE_CORK);
        if (in->wire && in->client_ctx && in->origin_ctx && in->corks[0] && in->corks[1] &&
            in->resume)
                return in;
        inspector_free(in);
        ERR_clear_error();
        errno = ENOMEM;
        return NULL;
}

static void tell_secrets(struct inspector *in)
{
        SSL_CTX_set_keylog_callback(in->client_ctx, handshake_on_secret);
        SSL_CTX_set_keylog_callback(in->origin_ctx, handshake_on_secret);
}

int inspector_set_keylog(struct inspector *in, const char *path)
{
        int fd = secret_file_open(path, false);

        if (fd < 0)
                return fd;
        in->keylog = fd;
        tell_secrets(in);
        return 0;
}

int inspector_set_pcap(struct inspector *in, const char *path)
{
        in->pcap = pcap_new(path);
        if (!in->pcap)
                return -errno;
        tell_secrets(in);
        return 0;
}

void inspector_log_secret(struct inspector *in, const char *line)
{
        char out[512]; /* 32 bytes of client random and 64 of secret, in hexadecimal */
        int len = snprintf(out, sizeof out, "%s\n", line);

        if (in->keylog >= 0 && len > 0 && (size_t)len < sizeof out)
                secret_file_write(in->keylog, out, (size_t)len);
        OPENSSL_cleanse(out, sizeof out);
}

static void drop_distrusted(struct inspector *in, struct distrusted *d)
{
        HASH_DEL(in->distrusted, d);
        free(d);
}

void inspector_free(struct inspector *in)
{
        if (!in)
                return;
        while (in->distrusted)
                drop_distrusted(in, in->distrusted);
        while (in->chunks) {
                void *next = *(void **)in->chunks;
                free(in->chunks);
                in->chunks = next;
        }
        resume_free(in->resume);
        pcap_free(in->pcap);
        if (in->keylog >= 0)
                close(in->keylog);
        client_certs_free(in->client_certs);
        free(in->corks[0]);
        free(in->corks[1]);
        SSL_CTX_free(in->client_ctx);
        SSL_CTX_free(in->origin_ctx);
        BIO_meth_free(in->wire);
        free(in);
}

static void fold(char *out, const char *name)
{
        size_t len = strnlen(name, NAME_CAP - 1);

        for (size_t i = 0; i < len; i++)
                out[i] = (char)tolower((unsigned char)name[i]);
        out[len] = '\0';
}

static struct distrusted *find(const struct inspector *in, const char *name)
{
        char folded[NAME_CAP];
        struct distrusted *d;

        fold(folded, name);
        HASH_FIND_STR(in->distrusted, folded, d);
        return d;
}

bool inspector_is_distrusted(const struct inspector *in, const char *name)
{
        return name && in->mode == INSPECTOR_AUTO && find(in, name);
}

void inspector_add_distrusted(struct inspector *in, const char *name)
{
        struct distrusted *d = name && *name && !find(in, name) ? calloc(1, sizeof *d) : NULL;

        if (!d)
                return;
        fold(d->name, name);
        if (HASH_COUNT(in->distrusted) >= DISTRUSTED_CAP)
                drop_distrusted(in, in->distrusted);
        HASH_ADD_STR(in->distrusted, name, d);
        if (!d->hh.tbl)
                free(d);
}

char *inspector_take_chunk(struct inspector *in)
{
        void *chunk = in->chunks;

        if (!chunk)
                return malloc(INSPECTOR_CHUNK);
        in->chunks = *(void **)chunk;
        in->chunk_count--;
        return chunk;
}

void inspector_give_chunk(struct inspector *in, char *chunk)
{
        if (in->chunk_count >= SPARE_CAP) {
                free(chunk);
                return;
        }
        *(void **)(void *)chunk = in->chunks;
        in->chunks = chunk;
        in->chunk_count++;
}
