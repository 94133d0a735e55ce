/* record/mask.c: what stands in a known secret place never comes out. */
#include "fuzz.h"

#include "record/mask.h"

#define SECRET "hunter2hunter2"

static void in_header(const char *name, size_t name_len)
{
        char out[64];

        mask_header(name, name_len, SECRET, strlen(SECRET), out, sizeof out);
        if (mask_header_is_secret(name, name_len))
                REQUIRE(strstr(out, SECRET) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        char *text = fuzz_string(data, len), *out = malloc(4 * len + 64), *url = NULL;
        size_t cap = 4 * len + 64;

        REQUIRE(mask_url(text, len, out, cap) < cap);
        mask_url(text, len, out, len / 2); /* cut short */
        mask_header("Link", 4, text, len, out, cap);
        mask_argument(text, out, cap);
        mask_argument_after("--password", text, out, cap);
        in_header(text, len);
        if (len > 0 && strpbrk(text, "/?#@\"'<> \t\r\n\v\f") == NULL && strlen(text) == len &&
            asprintf(&url, "https://%s:" SECRET "@index.example/", text) > 0) {
                mask_url(url, strlen(url), out, cap);
                REQUIRE(strstr(out, SECRET) == NULL);
        }
        free(url);
        free(out);
        free(text);
        return 0;
}
