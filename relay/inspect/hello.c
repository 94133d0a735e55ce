/* hello.c: reads the extensions of a ClientHello that OpenSSL has split for us. Every length comes
 * from the network and is checked before it is used. Used by handshake.c. */
#include "inspect/hello.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { SIGALG_ECDSA_P256_SHA256 = 0x0403 };

/* A cursor over bytes; every read checks what is left. */
struct span {
        const unsigned char *at;
        size_t left;
};

static bool take_number(struct span *s, size_t bytes, size_t *out)
{
        if (s->left < bytes)
                return false;
        *out = bytes == 1 ? s->at[0] : (size_t)s->at[0] << 8 | s->at[1];
        s->at += bytes;
        s->left -= bytes;
        return true;
}

/* A vector with a length of that many bytes in front. */
static bool take_vector(struct span *s, size_t length_bytes, struct span *out)
{
        size_t len;

        if (!take_number(s, length_bytes, &len) || len > s->left)
                return false;
        *out = (struct span){s->at, len};
        s->at += len;
        s->left -= len;
        return true;
}

static int copy_name(char *out, struct span name)
{
        if (name.left && name.at[name.left - 1] == '.')
                name.left--;
        if (!name.left || name.left >= HELLO_NAME_CAP)
                return -EPROTO;
        for (size_t i = 0; i < name.left; i++) {
                /* It ends in a certificate and in the record: visible ASCII only. */
                if (name.at[i] <= ' ' || name.at[i] >= 0x7f)
                        return -EPROTO;
                out[i] = (char)tolower(name.at[i]);
        }
        out[name.left] = '\0';
        return 0;
}

int hello_read_sni(struct hello *out, const unsigned char *data, size_t len)
{
        struct span all = {data, len}, list, name;
        size_t type;

        if (!take_vector(&all, 2, &list))
                return -EPROTO;
        while (list.left) {
                if (!take_number(&list, 1, &type) || !take_vector(&list, 2, &name))
                        return -EPROTO;
                if (type == TLSEXT_NAMETYPE_host_name)
                        return copy_name(out->sni, name);
        }
        return 0;
}

static bool is_protocol(struct span name, const char *protocol)
{
        return name.left == strlen(protocol) && !memcmp(name.at, protocol, name.left);
}

int hello_read_alpn(struct hello *out, const unsigned char *data, size_t len)
{
        struct span all = {data, len}, list, name;

        out->has_alpn = true;
        if (!take_vector(&all, 2, &list))
                return -EPROTO;
        while (list.left) {
                if (!take_vector(&list, 1, &name) || !name.left)
                        return -EPROTO;
                if (!is_protocol(name, "h2") && !is_protocol(name, "http/1.1") &&
                    !is_protocol(name, "http/1.0"))
                        continue;
                if (out->alpn_len + name.left + 1 > sizeof out->alpn)
                        continue; /* the same protocol over and over */
                out->alpn[out->alpn_len++] = (unsigned char)name.left;
                memcpy(out->alpn + out->alpn_len, name.at, name.left);
                out->alpn_len += name.left;
        }
        return 0;
}

static void add_version(struct hello *out, size_t version)
{
        if (version != TLS1_2_VERSION && version != TLS1_3_VERSION)
                return;
        if (!out->min_version || (int)version < out->min_version)
                out->min_version = (int)version;
        if ((int)version > out->max_version)
                out->max_version = (int)version;
}

int hello_read_versions(struct hello *out, const unsigned char *data, size_t len)
{
        struct span all = {data, len}, list;
        size_t version;

        if (!take_vector(&all, 1, &list))
                return -EPROTO;
        while (take_number(&list, 2, &version))
                add_version(out, version);
        return 0;
}

static bool has_ecdsa_signature(SSL *ssl)
{
        const unsigned char *data;
        struct span all, list;
        size_t algorithm;

        if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_signature_algorithms, &data, &all.left))
                return false;
        all.at = data;
        if (!take_vector(&all, 2, &list))
                return false;
        while (take_number(&list, 2, &algorithm))
                if (algorithm == SIGALG_ECDSA_P256_SHA256)
                        return true;
        return false;
}

/* In TLS 1.2 the cipher suite names the key's type as well (RFC 8422, 5289, 7905, 7251). */
static bool has_ecdsa_cipher(SSL *ssl)
{
        static const size_t suites[] = {0xc009, 0xc00a, 0xc023, 0xc024, 0xc02b, 0xc02c,
                                        0xcca9, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af};
        struct span list;
        size_t suite;

        list.left = SSL_client_hello_get0_ciphers(ssl, &list.at);
        while (take_number(&list, 2, &suite))
                for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
                        if (suite == suites[i])
                                return true;
        return false;
}

int hello_read(SSL *ssl, struct hello *out)
{
        const unsigned char *data;
        size_t len;
        int error = 0;

        memset(out, 0, sizeof *out);
        if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &len))
                error = hello_read_sni(out, data, len);
        if (!error && SSL_client_hello_get0_ext(
                              ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &len))
                error = hello_read_alpn(out, data, len);
        if (error)
                return error;
        if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &len))
                error = hello_read_versions(out, data, len);
        else
                add_version(out, SSL_client_hello_get0_legacy_version(ssl));
        out->wants_status =
                SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_status_request, &data, &len) == 1;
        out->takes_ecdsa = has_ecdsa_signature(ssl) &&
                           (out->max_version == TLS1_3_VERSION || has_ecdsa_cipher(ssl));
        return error;
}
