/* Checksums as text; see checksum.h. */
#include "inspect/checksum.h"

#include <ctype.h>
#include <string.h>

static const struct {
        const char *name;
        size_t len;
        const EVP_MD *(*md)(void);
} kinds[] = {
        [CHECKSUM_SHA1] = {"sha1", 20, EVP_sha1},
        [CHECKSUM_SHA256] = {"sha256", 32, EVP_sha256},
        [CHECKSUM_SHA512] = {"sha512", 64, EVP_sha512},
};

static int digit(char c)
{
        return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

bool checksum_from_hex(struct checksum *sum, enum checksum_kind kind, const char *text, size_t len)
{
        if (len != 2 * kinds[kind].len)
                return false;
        for (size_t i = 0; i < len; i++)
                if (!isxdigit((unsigned char)text[i]))
                        return false;
        sum->kind = kind;
        for (size_t i = 0; i < len; i += 2)
                sum->bytes[i / 2] = (unsigned char)(digit(text[i]) << 4 | digit(text[i + 1]));
        return true;
}

bool checksum_from_base64(struct checksum *sum, enum checksum_kind kind, const char *text,
                          size_t len)
{
        unsigned char bytes[sizeof sum->bytes + 3];
        size_t raw = kinds[kind].len, groups = (raw + 2) / 3, padding = groups * 3 - raw;

        if (len != groups * 4 || EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len) < 0)
                return false;
        for (size_t i = 0; i < padding; i++)
                if (text[len - 1 - i] != '=')
                        return false;
        sum->kind = kind;
        memcpy(sum->bytes, bytes, raw);
        return true;
}

bool checksum_from_integrity(struct checksum *sum, const char *text, size_t len)
{
        struct checksum found = {CHECKSUM_NONE, {0}}, one;

        for (size_t at = 0, end; at < len; at = end + 1) {
                const char *word = text + at, *space = memchr(word, ' ', len - at);
                size_t left = space ? (size_t)(space - word) : len - at;

                end = at + left;
                for (enum checksum_kind kind = CHECKSUM_SHA1; kind <= CHECKSUM_SHA512; kind++) {
                        size_t name = strlen(kinds[kind].name);

                        if (left > name && memcmp(word, kinds[kind].name, name) == 0 &&
                            word[name] == '-' &&
                            checksum_from_base64(&one, kind, word + name + 1, left - name - 1))
                                checksum_keep(&found, &one);
                }
        }
        if (found.kind == CHECKSUM_NONE)
                return false;
        *sum = found;
        return true;
}

void checksum_keep(struct checksum *sum, const struct checksum *other)
{
        if (other->kind > sum->kind)
                *sum = *other;
}

bool checksum_is_equal(const struct checksum *a, const struct checksum *b)
{
        return a->kind == b->kind && memcmp(a->bytes, b->bytes, kinds[a->kind].len) == 0;
}

void checksum_print_hex(const struct checksum *sum, char out[CHECKSUM_HEX])
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < kinds[sum->kind].len; i++) {
                *out++ = digits[sum->bytes[i] >> 4];
                *out++ = digits[sum->bytes[i] & 15];
        }
        *out = '\0';
}

void checksum_print(const struct checksum *sum, char out[CHECKSUM_TEXT])
{
        size_t len = strlen(kinds[sum->kind].name);

        memcpy(out, kinds[sum->kind].name, len);
        out[len] = ':';
        checksum_print_hex(sum, out + len + 1);
}

const EVP_MD *checksum_md(enum checksum_kind kind)
{
        return kinds[kind].md();
}
