/* The SHA-256 that an answer states; see stated.h. */
#include "inspect/stated.h"

#include <string.h>
#include <strings.h>

enum { BASE64_LEN = 44 }; /* 32 bytes and padding */

static bool is_name(const struct http_header *header, const char *name)
{
        return header->name_len == strlen(name) &&
               strncasecmp(header->name, name, header->name_len) == 0;
}

static bool read_hex(const char *text, size_t len, char hex[SHA256_HEX])
{
        struct checksum sum;

        if (!checksum_from_hex(&sum, CHECKSUM_SHA256, text, len))
                return false;
        checksum_print_hex(&sum, hex);
        return true;
}

static bool read_base64(const char *text, size_t len, char hex[SHA256_HEX])
{
        struct checksum sum;

        if (len < BASE64_LEN || !checksum_from_base64(&sum, CHECKSUM_SHA256, text, BASE64_LEN))
                return false;
        checksum_print_hex(&sum, hex);
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
