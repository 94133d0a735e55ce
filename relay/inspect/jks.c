/* jks.c: the JKS form: magic, version, count, then per entry a tag, an alias, a time, and for a
 * trusted certificate its type and DER; at the end SHA-1 over the password in UTF-16, a fixed
 * text, and all bytes before. All integers are big-endian; texts have a 16-bit length. */
#include "inspect/jks.h"
#include "inspect/anchors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

enum {
        VERSION = 2,
        TAG_TRUSTED = 2,
        FILE_MAX = 16 << 20,
        DER_SEQUENCE = 0x30,
};

static const uint32_t magic = 0xfeedfeed;

/* ---- reading ---- */

struct input {
        const unsigned char *at, *end;
        bool bad;
};

static uint64_t take_number(struct input *in, int bytes)
{
        uint64_t value = 0;

        if (in->end - in->at < bytes)
                in->bad = true;
        for (int i = 0; i < bytes && !in->bad; i++)
                value = value << 8 | *in->at++;
        return value;
}

static const unsigned char *take_bytes(struct input *in, uint64_t len)
{
        const unsigned char *bytes = in->at;

        if (in->bad || (uint64_t)(in->end - in->at) < len) {
                in->bad = true;
                return NULL;
        }
        in->at += len;
        return bytes;
}

/* One entry; anything but a trusted certificate ends the reading, as its length is not known. */
static bool take_entry(struct input *in, struct bundle *b)
{
        if (take_number(in, 4) != TAG_TRUSTED)
                return false;
        take_bytes(in, take_number(in, 2)); /* alias */
        take_number(in, 8);                 /* when it was added */
        take_bytes(in, take_number(in, 2)); /* "X.509" */
        uint64_t len = take_number(in, 4);
        const unsigned char *der = take_bytes(in, len);
        return der && bundle_add_bytes(b, (const char *)der, len) >= 0;
}

static int add_jks(struct bundle *b, struct input in)
{
        int count = 0;

        if (take_number(&in, 4) != magic || take_number(&in, 4) > VERSION)
                return -ENODATA;
        for (uint64_t left = take_number(&in, 4); left && take_entry(&in, b); left--)
                count++;
        return count ? count : -ENODATA;
}

static int add_x509(struct bundle *b, X509 *cert)
{
        unsigned char *der = NULL;
        int len = i2d_X509(cert, &der);
        int result = len > 0 ? bundle_add_bytes(b, (const char *)der, (size_t)len) : 0;

        OPENSSL_free(der);
        return result;
}

/* JDKs from 18 on come with a store without a password. */
static int add_pkcs12(struct bundle *b, struct input in)
{
        PKCS12 *p12 = d2i_PKCS12(NULL, &in.at, in.end - in.at);
        STACK_OF(X509) *certs = NULL;
        EVP_PKEY *key = NULL;
        X509 *cert = NULL;
        int count = 0;

        if (p12 && (PKCS12_parse(p12, NULL, &key, &cert, &certs) ||
                    PKCS12_parse(p12, JKS_PASSWORD, &key, &cert, &certs)))
                for (int i = 0; i < sk_X509_num(certs); i++)
                        count += add_x509(b, sk_X509_value(certs, i)) == 1;
        sk_X509_pop_free(certs, X509_free);
        X509_free(cert);
        EVP_PKEY_free(key);
        PKCS12_free(p12);
        ERR_clear_error();
        return count ? count : -ENODATA;
}

static int slurp(const char *path, unsigned char **out, size_t *len)
{
        FILE *file = fopen(path, "re");
        struct stat st;
        int error = 0;

        if (!file)
                return -errno;
        if (fstat(fileno(file), &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
                error = -EINVAL;
        *out = error ? NULL : malloc((size_t)st.st_size + 1);
        if (!error && !*out)
                error = -ENOMEM;
        *len = *out ? fread(*out, 1, (size_t)st.st_size, file) : 0;
        fclose(file);
        return error;
}

int jks_add(struct bundle *b, const char *path)
{
        unsigned char *data = NULL;
        size_t len = 0;
        int result = slurp(path, &data, &len);

        if (!result) {
                struct input in = {.at = data, .end = data + len};
                result = len && data[0] == DER_SEQUENCE ? add_pkcs12(b, in) : add_jks(b, in);
        }
        free(data);
        return result;
}

/* ---- writing ---- */

struct output {
        FILE *file;
        EVP_MD_CTX *sum; /* owned; NULL: of nothing */
};

static void put(struct output *out, const void *data, size_t len)
{
        if (out->sum)
                EVP_DigestUpdate(out->sum, data, len);
        fwrite(data, 1, len, out->file);
}

static void put_number(struct output *out, uint64_t value, int bytes)
{
        unsigned char data[8];

        for (int i = bytes; i-- > 0; value >>= 8)
                data[i] = (unsigned char)value;
        put(out, data, (size_t)bytes);
}

static void put_text(struct output *out, const char *text)
{
        put_number(out, strlen(text), 2);
        put(out, text, strlen(text));
}

static void put_entry(struct output *out, unsigned index, const unsigned char *der, size_t len)
{
        char alias[24];

        snprintf(alias, sizeof alias, "root-%u", index);
        put_number(out, TAG_TRUSTED, 4);
        put_text(out, alias);
        put_number(out, 0, 8);
        put_text(out, "X.509");
        put_number(out, len, 4);
        put(out, der, len);
}

/* The start of the checksum: it is not written. */
static void begin_sum(EVP_MD_CTX *sum)
{
        static const char text[] = "Mighty Aphrodite";

        EVP_DigestInit_ex(sum, EVP_sha1(), NULL);
        for (const char *c = JKS_PASSWORD; *c; c++) {
                unsigned char wide[2] = {0, (unsigned char)*c};
                EVP_DigestUpdate(sum, wide, sizeof wide);
        }
        EVP_DigestUpdate(sum, text, sizeof text - 1);
}

struct entries {
        struct output *out;
        unsigned count;
};

static void put_next(void *ctx, const unsigned char *der, size_t len)
{
        struct entries *entries = ctx;

        len = bundle_der_len(der, len);
        if (len)
                put_entry(entries->out, entries->count++, der, len);
}

/* The certificates of b are written as they are: to have OpenSSL look into each would take longer
 * than all the rest of a run's start. Returns how many. */
static unsigned put_bundle(struct output *out, const struct bundle *b)
{
        struct entries entries = {.out = out};

        if (b)
                anchors_each(b, put_next, &entries);
        return entries.count;
}

/* All entries, in *data, which the caller frees. Returns how many, or -ENOMEM. */
static int gather(const struct bundle *b, X509 *ca, char **data, size_t *len)
{
        struct output out = {.file = open_memstream(data, len)};
        unsigned char *der = NULL;
        int der_len = out.file ? i2d_X509(ca, &der) : 0;
        unsigned count = 0;
        bool bad = der_len <= 0;

        if (!bad) {
                count = put_bundle(&out, b);
                put_entry(&out, count++, der, (size_t)der_len);
        }
        OPENSSL_free(der);
        if (out.file) {
                bad = ferror(out.file) != 0 || bad;
                bad = fclose(out.file) != 0 || bad;
        }
        return bad ? -ENOMEM : (int)count;
}

static int write_store(struct output *out, const struct bundle *b, X509 *ca)
{
        unsigned char sum[EVP_MAX_MD_SIZE];
        unsigned sum_len = 0;
        char *entries = NULL;
        size_t len = 0;
        int count = gather(b, ca, &entries, &len);

        if (count > 0) {
                begin_sum(out->sum);
                put_number(out, magic, 4);
                put_number(out, VERSION, 4);
                put_number(out, (unsigned)count, 4);
                put(out, entries, len);
                EVP_DigestFinal_ex(out->sum, sum, &sum_len);
                fwrite(sum, 1, sum_len, out->file);
        }
        free(entries);
        if (count < 0)
                return count;
        return fchmod(fileno(out->file), 0644) < 0 || ferror(out->file) ? -EIO : 0;
}

int jks_write(const struct bundle *b, X509 *ca, const char *path)
{
        struct output out = {.file = fopen(path, "wxe"), .sum = EVP_MD_CTX_new()};
        int result = out.file ? -ENOMEM : -errno;

        if (out.file && out.sum)
                result = write_store(&out, b, ca);
        EVP_MD_CTX_free(out.sum);
        if (out.file && fclose(out.file) != 0 && !result)
                result = -EIO;
        return result;
}
