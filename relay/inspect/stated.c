/* The SHA-256 that an answer states; see stated.h. */
#include "inspect/stated.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

enum { DIGEST_LEN = 32, BASE64_LEN = 44 };

void stated_print(const unsigned char *digest, char hex[SHA256_HEX])
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < DIGEST_LEN; i++) {
                hex[2 * i] = digits[digest[i] >> 4];
                hex[2 * i + 1] = digits[digest[i] & 15];
        }
        hex[SHA256_HEX - 1] = '\0';
}

static bool is_name(const struct http_header *header, const char *name)
{
        return header->name_len == strlen(name) &&
               strncasecmp(header->name, name, header->name_len) == 0;
}

static bool read_hex(const char *text, size_t len, char hex[SHA256_HEX])
{
        if (len != SHA256_HEX - 1)
                return false;
        for (size_t i = 0; i < len; i++) {
                if (!isxdigit((unsigned char)text[i]))
                        return false;
                hex[i] = (char)tolower((unsigned char)text[i]);
        }
        hex[len] = '\0';
        return true;
}

static bool read_base64(const char *text, size_t len, char hex[SHA256_HEX])
{
        unsigned char digest[BASE64_LEN];

        /* 32 bytes are 44 characters, the last of which is padding. */
        if (len < BASE64_LEN || text[BASE64_LEN - 1] != '=' ||
            EVP_DecodeBlock(digest, (const unsigned char *)text, BASE64_LEN) != DIGEST_LEN + 1)
                return false;
        stated_print(digest, hex);
        return true;
}

/* "sha-256=:BASE64:, ..." or "SHA-256=BASE64, ...". */
static bool read_list(const char *text, size_t len, char hex[SHA256_HEX])
{
        static const char name[] = "sha-256=";
        const char *end = text + len;

        for (; (size_t)(end - text) > sizeof name; text++)
                if (strncasecmp(text, name, sizeof name - 1) == 0) {
                        text += sizeof name - 1;
                        text += *text == ':';
                        return read_base64(text, (size_t)(end - text), hex);
                }
        return false;
}

bool stated_sha256(const struct http_head *head, char hex[SHA256_HEX])
{
        for (size_t i = 0; i < head->header_count; i++) {
                const struct http_header *header = &head->headers[i];

                if (is_name(header, "Repr-Digest") || is_name(header, "Digest")) {
                        if (read_list(header->value, header->value_len, hex))
                                return true;
                } else if (is_name(header, "X-Checksum-Sha256")) {
                        if (read_hex(header->value, header->value_len, hex))
                                return true;
                }
        }
        return false;
}
