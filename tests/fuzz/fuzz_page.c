/* inspect/page.c: pages of package indexes. The first byte chooses kind and compression, the second
 * the size of the pieces. */
#include "fuzz.h"

#include "inspect/page.h"

static const char *const types[] = {"text/html", "application/json", "text/plain"};
static const char *const codings[] = {"identity", "gzip"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct promised *table = promised_new();
        const char *type = types[len > 0 ? data[0] % 3 : 0];
        const char *coding = codings[len > 0 ? data[0] / 3 % 2 : 0];
        struct http_header headers[] = {
                {"Content-Type", type, 12, (uint32_t)strlen(type)},
                {"Content-Encoding", coding, 16, (uint32_t)strlen(coding)},
        };
        struct http_head head = {.status = 200, .headers = headers, .header_count = 2};
        struct page *page;

        if (table == NULL || len < 2) {
                promised_free(table);
                return 0;
        }
        promised_set_registry(table, "https://index.example/config.json",
                              "https://dl.example/{crate}");
        /* text/plain is a page for Cargo only. */
        page = page_new(table, "https://index.example/simple/x/", 1, &head, data[0] % 3 == 2);
        for (size_t at = 2, step = data[1] + 1u; page != NULL && at < len; at += step) {
                size_t n = len - at < step ? len - at : step;
                char *piece = fuzz_copy(data + at, n);

                page_read(page, piece, n);
                free(piece);
        }
        page_free(page);
        promised_free(table);
        return 0;
}
