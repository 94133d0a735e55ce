/* inspect/hello.c: the extensions of a ClientHello, and a whole one through OpenSSL. */
#include "fuzz.h"

#include "inspect/hello.h"

static int called(SSL *ssl, int *alert, void *arg)
{
        struct hello hello;

        (void)alert;
        (void)arg;
        memset(&hello, 0, sizeof hello);
        if (hello_read(ssl, &hello) == 0) {
                REQUIRE(memchr(hello.sni, 0, sizeof hello.sni) != NULL);
                REQUIRE(hello.alpn_len <= sizeof hello.alpn);
        }
        return SSL_CLIENT_HELLO_ERROR;
}

static void whole(const uint8_t *data, size_t len)
{
        static SSL_CTX *ctx;
        SSL *ssl;
        BIO *in = BIO_new_mem_buf(data, (int)len), *out = BIO_new(BIO_s_mem());

        if (ctx == NULL) {
                ctx = SSL_CTX_new(TLS_server_method());
                SSL_CTX_set_client_hello_cb(ctx, called, NULL);
        }
        ssl = SSL_new(ctx);
        SSL_set_bio(ssl, in, out);
        SSL_accept(ssl);
        SSL_free(ssl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        unsigned char *copy;
        struct hello hello;

        if (len < 1)
                return 0;
        copy = (unsigned char *)fuzz_copy(data + 1, len - 1);
        memset(&hello, 0, sizeof hello);
        switch (data[0]) {
        case 0:
                hello_read_sni(&hello, copy, len - 1);
                REQUIRE(memchr(hello.sni, 0, sizeof hello.sni) != NULL);
                break;
        case 1:
                hello_read_alpn(&hello, copy, len - 1);
                REQUIRE(hello.alpn_len <= sizeof hello.alpn);
                break;
        case 2:
                hello_read_versions(&hello, copy, len - 1);
                break;
        default:
                whole(data, len);
        }
        free(copy);
        return 0;
}
