/* digest.c: see digest.h. */
#include "inspect/digest.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

struct digest {
        EVP_MD_CTX *ctx; /* owned */
};

struct digest *digest_new(void)
{
        struct digest *d = calloc(1, sizeof *d);

        if (!d)
                return NULL;
        d->ctx = EVP_MD_CTX_new();
        if (d->ctx && EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL))
                return d;
        digest_free(d);
        return NULL;
}

void digest_free(struct digest *d)
{
        if (!d)
                return;
        EVP_MD_CTX_free(d->ctx);
        free(d);
}

void digest_add(struct digest *d, const char *data, size_t len)
{
        EVP_DigestUpdate(d->ctx, data, len);
}

void digest_end(struct digest *d, char out[DIGEST_HEX])
{
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned len = 0;

        *out = '\0';
        if (EVP_DigestFinal_ex(d->ctx, bytes, &len))
                for (unsigned i = 0; i < len && 2 * i + 2 < DIGEST_HEX; i++)
                        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
