/* Pages of package indexes; see page.h. */
#include "inspect/page.h"
#include "inspect/page_html.h"
#include "inspect/page_json.h"
#include "inspect/url.h"
#include "record/mask.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
        URL_CAP = 4096,
        PLAIN_CAP = 64 << 20, /* bytes that a page may be unpacked; npm's longest have 20 MB */
        BLOCK = 16384
};

struct page {
        struct promised *promised; /* borrowed */
        char *url;                 /* owned */
        uint64_t request;
        struct page_json *json; /* owned; one of both */
        struct page_html *html; /* owned */
        z_stream *packed;       /* owned; NULL: it is not compressed, or no more is unpacked */
        bool ended;
        size_t plain; /* bytes unpacked so far */
};

bool page_is_for_cargo(const struct http_head *request)
{
        /* Before 1.68 it sent no field of its own. */
        return http_header_get(request, "cargo-protocol") != NULL ||
               http_header_begins(http_header_get(request, "User-Agent"), "cargo ");
}

/* ---- what the readers find ---- */

static void on_file(void *ctx, const char *reference, const struct checksum *sum)
{
        struct page *page = ctx;
        char url[URL_CAP], masked[URL_CAP];

        if (!url_resolve(page->url, reference, url, sizeof url))
                return;
        /* As the URL of its request will be. */
        mask_url(url, strlen(url), masked, sizeof masked);
        promised_add(page->promised, masked, sum, page->request);
}

static void on_crate(void *ctx, const char *name, const char *version, const struct checksum *sum)
{
        struct page *page = ctx;

        promised_add_crate(page->promised, page->url, name, version, sum, page->request);
}

static void on_downloads(void *ctx, const char *template)
{
        struct page *page = ctx;

        promised_set_registry(page->promised, page->url, template);
}

static const struct page_json_events json_events = {on_file, on_crate, on_downloads};

/* ---- the body ---- */

static bool begin_reader(struct page *page, const struct http_head *answer, bool for_cargo)
{
        const struct http_header *type = http_header_get(answer, "Content-Type");

        if (for_cargo || http_header_begins(type, "application/json") ||
            http_header_begins(type, "application/vnd.pypi.simple.v1+json") ||
            http_header_begins(type, "application/vnd.npm.install-v1+json"))
                page->json = page_json_new(&json_events, page);
        else if (http_header_begins(type, "text/html") ||
                 http_header_begins(type, "application/vnd.pypi.simple.v1+html"))
                page->html = page_html_new(on_file, page);
        return page->json || page->html;
}

/* False if it is packed in a way that nobody here can undo. */
static bool begin_unpacking(struct page *page, const struct http_head *answer)
{
        const struct http_header *coding = http_header_get(answer, "Content-Encoding");

        if (!coding || http_header_begins(coding, "identity"))
                return true;
        if (!http_header_begins(coding, "gzip") && !http_header_begins(coding, "x-gzip") &&
            !http_header_begins(coding, "deflate"))
                return false;
        page->packed = calloc(1, sizeof *page->packed);
        /* 32: it looks which of both it is. */
        if (page->packed && inflateInit2(page->packed, 32 + MAX_WBITS) == Z_OK)
                return true;
        free(page->packed);
        page->packed = NULL;
        return false;
}

struct page *page_new(struct promised *promised, const char *url, uint64_t request,
                      const struct http_head *answer, bool for_cargo)
{
        struct page *page = calloc(1, sizeof *page);

        if (!page)
                return NULL;
        page->promised = promised;
        page->request = request;
        if (begin_reader(page, answer, for_cargo) && begin_unpacking(page, answer) &&
            (page->url = strdup(url)))
                return page;
        page_free(page);
        return NULL;
}

static void end_unpacking(struct page *page)
{
        if (page->packed)
                inflateEnd(page->packed);
        free(page->packed);
        page->packed = NULL;
        page->ended = true;
}

void page_free(struct page *page)
{
        if (!page)
                return;
        end_unpacking(page);
        page_json_free(page->json);
        page_html_free(page->html);
        free(page->url);
        free(page);
}

static void read_plain(struct page *page, const char *data, size_t len)
{
        if (page->json)
                page_json_read(page->json, data, len);
        else
                page_html_read(page->html, data, len);
}

static void unpack(struct page *page, const char *data, size_t len)
{
        unsigned char block[BLOCK];
        int result = Z_OK;

        page->packed->next_in = (unsigned char *)data;
        page->packed->avail_in = (unsigned)len;
        while (result == Z_OK) {
                page->packed->next_out = block;
                page->packed->avail_out = sizeof block;
                result = inflate(page->packed, Z_NO_FLUSH);
                if (result != Z_OK && result != Z_STREAM_END)
                        break;
                read_plain(page, (const char *)block, sizeof block - page->packed->avail_out);
                page->plain += sizeof block - page->packed->avail_out;
                if (page->plain > PLAIN_CAP)
                        result = Z_STREAM_END;
        }
        /* Z_BUF_ERROR: all that came has been read. */
        if (result != Z_BUF_ERROR)
                end_unpacking(page);
}

void page_read(struct page *page, const char *data, size_t len)
{
        if (page->ended)
                return;
        if (page->packed)
                unpack(page, data, len);
        else
                read_plain(page, data, len);
}
