/* Digest; see digest.h. Letters as in RFC 7616 section 3.4: A1, A2, KD. */
#include "net/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEX_CAP = 2 * 64 + 1 };

static const struct {
        const char *name, *hash;
} algorithms[] = {
        {"MD5", "MD5"},
        {"SHA-256", "SHA256"},
        {"SHA-512-256", "SHA512-256"},
};

static bool read_algorithm(struct digest *out)
{
        const char *dash = strrchr(out->algorithm, '-');
        size_t len = strlen(out->algorithm);

        out->sess = dash != NULL && strcasecmp(dash, "-sess") == 0;
        if (out->sess)
                len -= strlen("-sess");
        if (out->algorithm[0] == '\0')
                out->hash = algorithms[0].hash;
        for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
                if (strlen(algorithms[i].name) == len &&
                    strncasecmp(algorithms[i].name, out->algorithm, len) == 0)
                        out->hash = algorithms[i].hash;
        return out->hash != NULL;
}

static bool is_true(const struct challenge *c, const char *name)
{
        char word[8];

        return challenge_param(c, name, word, sizeof word) > 0 && strcasecmp(word, "true") == 0;
}

bool digest_read(const struct challenge *c, struct digest *out)
{
        char qop[64];
        int len = challenge_param(c, "qop", qop, sizeof qop);

        memset(out, 0, sizeof *out);
        if (challenge_param(c, "realm", out->realm, sizeof out->realm) < 0 ||
            challenge_param(c, "nonce", out->nonce, sizeof out->nonce) < 0)
                return false;
        if (challenge_param(c, "algorithm", out->algorithm, sizeof out->algorithm) < 0)
                out->algorithm[0] = '\0';
        out->has_opaque = challenge_param(c, "opaque", out->opaque, sizeof out->opaque) >= 0;
        out->stale = is_true(c, "stale");
        out->userhash = is_true(c, "userhash");
        out->qop_auth = len > 0 && text_has_token((struct text){qop, (size_t)len}, "auth");
        return (len <= 0 || out->qop_auth) && read_algorithm(out);
}

/* The hash of the strings up to NULL, in hexadecimal. Returns false when OpenSSL refuses. */
__attribute__((sentinel)) static bool hash(const struct digest *d, char out[HEX_CAP], ...)
{
        unsigned char bytes[EVP_MAX_MD_SIZE];
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_MD *md = EVP_MD_fetch(NULL, d->hash, NULL);
        unsigned len = 0;
        bool ok = ctx != NULL && md != NULL && EVP_DigestInit_ex2(ctx, md, NULL);
        const char *part;
        va_list list;

        va_start(list, out);
        while (ok && (part = va_arg(list, const char *)) != NULL)
                ok = EVP_DigestUpdate(ctx, part, strlen(part));
        va_end(list);
        ok = ok && EVP_DigestFinal_ex(ctx, bytes, &len);
        for (unsigned i = 0; i < len; i++)
                snprintf(out + 2 * i, 3, "%02x", bytes[i]);
        OPENSSL_cleanse(bytes, sizeof bytes);
        EVP_MD_free(md);
        EVP_MD_CTX_free(ctx);
        return ok;
}

static bool respond(const struct digest *d, const struct digest_login *l, const char *count,
                    char out[HEX_CAP])
{
        char a1[HEX_CAP], a2[HEX_CAP];
        bool ok = hash(d, a1, l->user, ":", d->realm, ":", l->password, (char *)NULL) &&
                  (!d->sess || hash(d, a1, a1, ":", d->nonce, ":", l->cnonce, (char *)NULL)) &&
                  hash(d, a2, l->method, ":", l->uri, (char *)NULL);

        if (ok && d->qop_auth)
                ok = hash(d, out, a1, ":", d->nonce, ":", count, ":", l->cnonce, ":auth:", a2,
                          (char *)NULL);
        else if (ok)
                ok = hash(d, out, a1, ":", d->nonce, ":", a2, (char *)NULL);
        OPENSSL_cleanse(a1, sizeof a1);
        return ok;
}

static void put_quoted(FILE *out, const char *name, const char *value)
{
        fprintf(out, ", %s=\"", name);
        for (; *value != '\0'; value++) {
                if (*value == '"' || *value == '\\')
                        fputc('\\', out);
                fputc(*value, out);
        }
        fputc('"', out);
}

char *digest_answer(const struct digest *d, const struct digest_login *l)
{
        char response[HEX_CAP], user[HEX_CAP], count[12], *text = NULL;
        size_t len;
        FILE *out;

        snprintf(count, sizeof count, "%08x", l->count);
        if (!respond(d, l, count, response) ||
            (d->userhash && !hash(d, user, l->user, ":", d->realm, (char *)NULL)) ||
            (out = open_memstream(&text, &len)) == NULL)
                return NULL;
        fputs("Digest ", out);
        if (d->algorithm[0] != '\0')
                fprintf(out, "algorithm=%s, ", d->algorithm);
        fprintf(out, "response=\"%s\"", response);
        put_quoted(out, "username", d->userhash ? user : l->user);
        put_quoted(out, "realm", d->realm);
        put_quoted(out, "nonce", d->nonce);
        put_quoted(out, "uri", l->uri);
        if (d->qop_auth)
                fprintf(out, ", qop=auth, nc=%s", count);
        if (d->qop_auth || d->sess)
                put_quoted(out, "cnonce", l->cnonce);
        if (d->has_opaque)
                put_quoted(out, "opaque", d->opaque);
        if (d->userhash)
                fputs(", userhash=true", out);
        fclose(out);
        return text;
}
