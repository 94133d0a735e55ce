/* HTML's primitives: see html.h. */
#include "explain/html.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

/* Marks, embeddings, overrides and isolates of direction: U+200E, U+200F, U+202A to U+202E, U+2066
 * to U+2069 (UAX 9); and U+2028, U+2029. With them one text can pass for another. */
static bool turns(const unsigned char *c)
{
        if (c[0] != 0xe2)
                return false;
        if (c[1] == 0x80)
                return c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae);
        return c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9;
}

static const char *entity(unsigned char c)
{
        switch (c) {
        case '&':
                return "&amp;";
        case '<':
                return "&lt;";
        case '>':
                return "&gt;";
        case '"':
                return "&quot;";
        case '\'':
                return "&#39;";
        default:
                return NULL;
        }
}

void html_text(FILE *out, const char *text)
{
        static const char unknown[] = "\xef\xbf\xbd";

        for (const unsigned char *c = (const unsigned char *)text; c != NULL && *c != '\0'; c++) {
                const char *name = entity(*c);
                bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;

                if (name != NULL) {
                        fputs(name, out);
                } else if ((*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f) {
                        fputs(unknown, out);
                } else if (c1 || turns(c)) {
                        fputs(unknown, out);
                        c += c1 ? 1 : 2;
                } else {
                        putc(*c, out);
                }
        }
}

void html_duration(FILE *out, int64_t us)
{
        if (us < 0)
                return;
        if (us < 100)
                fputs("&lt; 0.1 ms", out);
        else if (us < 10000)
                fprintf(out, "%.1f ms", (double)us / 1e3);
        else if (us < 1000000)
                fprintf(out, "%.0f ms", (double)us / 1e3);
        else if (us < 100 * INT64_C(1000000))
                fprintf(out, "%.1f s", (double)us / 1e6);
        else
                fprintf(out, "%lld min %lld s", (long long)(us / 60000000),
                        (long long)(us / 1000000 % 60));
}

void html_hash(FILE *out, const char *text, size_t len)
{
        unsigned char digest[EVP_MAX_MD_SIZE], base64[EVP_MAX_MD_SIZE * 2];
        unsigned digest_len = 0;

        if (EVP_Digest(text, len, digest, &digest_len, EVP_sha256(), NULL) != 1)
                return;
        EVP_EncodeBlock(base64, digest, (int)digest_len);
        fprintf(out, "'sha256-%s'", (char *)base64);
}
