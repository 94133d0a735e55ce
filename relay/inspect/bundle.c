/* bundle.c: reads roots from files and directories, writes merged ones. Used by trust.c, which
 * decides which; knows nothing of environment variables. */
#include "inspect/bundle.h"
#include "inspect/anchors.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>

/* The largest bundles in use have some 150 roots and a quarter of a megabyte. */
enum { FILE_MAX = 16 << 20 };

void bundle_fini(struct bundle *b)
{
        free(b->pem);
        memset(b, 0, sizeof *b);
}

static int append(struct bundle *b, const char *data, size_t len)
{
        char *pem = realloc(b->pem, b->len + len + 1);

        if (!pem)
                return -ENOMEM;
        memcpy(pem + b->len, data, len);
        b->pem = pem;
        b->len += len;
        pem[b->len] = '\0';
        return 0;
}

size_t bundle_block_len(const char *text)
{
        static const char *const types[][2] = {
                {"-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"},
                {"-----BEGIN TRUSTED CERTIFICATE-----", "-----END TRUSTED CERTIFICATE-----"},
                {"-----BEGIN X509 CERTIFICATE-----", "-----END X509 CERTIFICATE-----"},
        };

        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
                size_t begin_len = strlen(types[i][0]);

                if (strncmp(text, types[i][0], begin_len) != 0)
                        continue;
                const char *begin = text + begin_len, *end = strstr(begin, types[i][1]);
                if (!end || memmem(begin, (size_t)(end - begin), "-----BEGIN ", 11))
                        return 0; /* cut off: another one follows */
                return (size_t)(end - text) + strlen(types[i][1]);
        }
        return 0;
}

/* Copy the certificates out of text. Returns how many, or -errno. */
static int take_blocks(struct bundle *b, const char *text)
{
        int count = 0;

        for (const char *at = strstr(text, "-----BEGIN "); at; at = strstr(at, "-----BEGIN ")) {
                size_t len = bundle_block_len(at);
                if (len && (append(b, at, len) < 0 || append(b, "\n", 1) < 0))
                        return -ENOMEM;
                count += len != 0;
                at += len ? len : 1;
        }
        return count;
}

/* Read a whole file, NUL-terminated. Returns 0 and *out (owned by the caller), or -errno. */
static int slurp(const char *path, char **out)
{
        /* A fifo under this name must not hang the run. */
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        size_t len = 0;
        ssize_t n = -1;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
                close(fd);
                return -EINVAL;
        }
        char *text = malloc((size_t)st.st_size + 1);
        while (text && len < (size_t)st.st_size &&
               (n = read(fd, text + len, (size_t)st.st_size - len)) > 0)
                len += (size_t)n;
        close(fd);
        if (!text)
                return -ENOMEM;
        text[len] = '\0';
        *out = text;
        return 0;
}

static int add_file(struct bundle *b, const char *path)
{
        char *text = NULL;
        int error = slurp(path, &text);

        if (error)
                return error;
        int count = take_blocks(b, text);
        free(text);
        if (count < 0)
                return count;
        return count ? 0 : -ENODATA;
}

size_t bundle_der_len(const unsigned char *der, size_t len)
{
        const unsigned char *at = der;
        long content = 0;
        int tag = 0, class = 0;

        if (len == 0 || len > FILE_MAX)
                return 0;
        /* 0x80 is an error, 1 an indefinite length, which DER has not. */
        int flags = ASN1_get_object(&at, &content, &tag, &class, (long)len);
        if (flags != V_ASN1_CONSTRUCTED || tag != V_ASN1_SEQUENCE) {
                ERR_clear_error();
                return 0;
        }
        return (size_t)(at - der) + (size_t)content;
}

/* Not decoded: OpenSSL would look into the key, a hundred times what it takes to write it down. */
static int add_der(struct bundle *b, const unsigned char *der, size_t len)
{
        BIO *bio = bundle_der_len(der, len) == len ? BIO_new(BIO_s_mem()) : NULL;
        int result = 0;
        char *pem;

        if (bio && PEM_write_bio(bio, PEM_STRING_X509, "", der, (long)len)) {
                long pem_len = BIO_get_mem_data(bio, &pem);
                result = append(b, pem, (size_t)pem_len) < 0 ? -ENOMEM : 1;
                if (result > 0)
                        anchors_know(b->pem + b->len - pem_len, der, len);
        }
        BIO_free(bio);
        return result;
}

int bundle_add_bytes(struct bundle *b, const char *data, size_t len)
{
        enum { DER_SEQUENCE = 0x30 };

        if (len && (unsigned char)data[0] == DER_SEQUENCE)
                return add_der(b, (const unsigned char *)data, len);
        char *text = strndup(data, len);
        int count = text ? take_blocks(b, text) : -ENOMEM;
        free(text);
        return count;
}

/* "5ed36f99.0": what OpenSSL looks up in a directory. Other files there are not trusted by it. */
static bool is_hashed_name(const char *name)
{
        for (int i = 0; i < 8; i++)
                if (!isxdigit((unsigned char)name[i]))
                        return false;
        return name[8] == '.' && isdigit((unsigned char)name[9]);
}

static int add_directory(struct bundle *b, const char *path)
{
        char entry_path[PATH_MAX];
        struct dirent *entry;
        DIR *dir = opendir(path);
        int result = -ENODATA;

        if (!dir)
                return -errno;
        while ((entry = readdir(dir))) {
                if (!is_hashed_name(entry->d_name))
                        continue;
                snprintf(entry_path, sizeof entry_path, "%s/%s", path, entry->d_name);
                if (add_file(b, entry_path) == 0)
                        result = 0;
        }
        closedir(dir);
        return result;
}

/* SSL_CERT_DIR may hold several, with colons between. */
static int add_list(struct bundle *b, const char *list)
{
        int result = -ENOENT;

        for (const char *at = list; *at; at += strspn(at, ":")) {
                size_t len = strcspn(at, ":");
                char part[PATH_MAX];
                snprintf(part, sizeof part, "%.*s", (int)len, at);
                if (bundle_add(b, part) == 0)
                        result = 0;
                at += len;
        }
        return result;
}

int bundle_add(struct bundle *b, const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == ENOENT && strchr(path, ':') ? add_list(b, path) : -errno;
        return S_ISDIR(st.st_mode) ? add_directory(b, path) : add_file(b, path);
}

int bundle_add_system(struct bundle *b)
{
        /* Debian, Fedora, Alpine and SUSE, as Go's crypto/x509 and curl's configure look for them.
         */
        static const char *const paths[] = {
                "/etc/ssl/certs/ca-certificates.crt",
                "/etc/pki/tls/certs/ca-bundle.crt",
                "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                "/etc/ssl/ca-bundle.pem",
                "/etc/ssl/cert.pem",
        };

        if (bundle_add(b, X509_get_default_cert_file()) == 0)
                return 0;
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
                if (bundle_add(b, paths[i]) == 0)
                        return 0;
        return bundle_add(b, X509_get_default_cert_dir());
}

/* ---- decoding ---- */

static const char *block_at(const char *text, size_t *len)
{
        while ((text = strstr(text, "-----BEGIN ")) && !(*len = bundle_block_len(text)))
                text++;
        return text;
}

const char *bundle_first(const struct bundle *b, size_t *len)
{
        return b->len ? block_at(b->pem, len) : NULL;
}

const char *bundle_next(const char *block, size_t *len)
{
        return block_at(block + *len, len);
}

unsigned char *bundle_decode(const char *block, size_t block_len, size_t *len)
{
        BIO *bio = BIO_new_mem_buf(block, (int)block_len);
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        long bytes = 0;

        if (bio)
                PEM_read_bio(bio, &name, &header, &der, &bytes);
        ERR_clear_error();
        OPENSSL_free(name);
        OPENSSL_free(header);
        BIO_free(bio);
        *len = (size_t)bytes;
        return der;
}

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t len)
{
        while (len) {
                ssize_t n = write(fd, data, len);
                if (n < 0 && errno != EINTR)
                        return -errno;
                data += n > 0 ? n : 0;
                len -= n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static int write_certificate(int fd, X509 *cert)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *data;
        int result = -ENOMEM;

        if (bio && PEM_write_bio_X509(bio, cert)) {
                long len = BIO_get_mem_data(bio, &data);
                result = write_all(fd, data, (size_t)len);
        }
        BIO_free(bio);
        return result;
}

/* The umask must not keep a child that runs as another user (apt's) from reading it. */
static int create(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

        if (fd < 0 || fchmod(fd, 0644) == 0)
                return fd < 0 ? -errno : fd;
        int error = errno;
        close(fd);
        return -error;
}

int bundle_write_der(X509 *ca, const char *path)
{
        unsigned char *der = NULL;
        int len = i2d_X509(ca, &der), fd = len > 0 ? create(path) : -ENOMEM;
        int result = fd < 0 ? fd : write_all(fd, (const char *)der, (size_t)len);

        if (fd >= 0 && close(fd) < 0 && !result)
                result = -errno;
        OPENSSL_free(der);
        return result;
}

int bundle_write(const struct bundle *b, X509 *ca, const char *path)
{
        int fd = create(path), result = 0;

        if (fd < 0)
                return fd;
        if (b && b->len)
                result = write_all(fd, b->pem, b->len);
        if (!result)
                result = write_certificate(fd, ca);
        if (close(fd) < 0 && !result)
                result = -errno;
        return result;
}
