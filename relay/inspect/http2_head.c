/* http2_head.c: one direction's header blocks; see http2_head.h. Inflating is nghttp2's, because
 * the state of HPACK's table has to be followed through every block, also those that nobody wants.
 * This is the only file that knows of it. */
#include "inspect/http2_head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

enum {
        TEXT_CAP = 65536, /* as for HTTP/1: more of one head is not worth its memory */
        HEADERS_CAP = 1000,
        TABLE_DEFAULT = 4096,  /* RFC 9113 section 6.5.2 */
        TABLE_CAP = 256 << 10, /* no client in use asks for more than 64 KiB */
};

int http2_head_init(struct http2_head *head)
{
        memset(head, 0, sizeof *head);
        head->table_max = head->table_set = TABLE_DEFAULT;
        return nghttp2_hd_inflate_new(&head->inflater) == 0 ? 0 : -ENOMEM;
}

void http2_head_reset(struct http2_head *head)
{
        free(head->text);
        free(head->headers);
        head->text = NULL;
        head->headers = NULL;
        head->len = head->cap = head->count = head->room = 0;
        head->clipped = head->starved = false;
}

void http2_head_fini(struct http2_head *head)
{
        http2_head_reset(head);
        if (head->inflater != NULL)
                nghttp2_hd_inflate_del(head->inflater);
        head->inflater = NULL;
}

void http2_head_allow_table(struct http2_head *head, uint32_t size)
{
        size_t max = size < TABLE_CAP ? size : TABLE_CAP;

        if (max > head->table_max)
                head->table_max = max;
}

/* Only between blocks: in the middle of one nghttp2 refuses. */
static void set_table(struct http2_head *head)
{
        if (head->table_set == head->table_max)
                return;
        if (nghttp2_hd_inflate_change_table_size(head->inflater, head->table_max) == 0)
                head->table_set = head->table_max;
}

static bool starve(struct http2_head *head)
{
        head->starved = true;
        return false;
}

static bool reserve(struct http2_head *head, size_t len)
{
        if (len > TEXT_CAP - head->len || head->count == HEADERS_CAP)
                return false;
        if (head->len + len > head->cap) {
                size_t cap = head->cap ? head->cap : 1024;
                while (cap < head->len + len)
                        cap *= 2;
                char *text = realloc(head->text, cap);
                if (!text)
                        return starve(head);
                head->text = text;
                head->cap = cap;
        }
        if (head->count == head->room) {
                size_t room = head->room ? head->room * 2 : 16;
                struct http_header *headers = realloc(head->headers, room * sizeof *headers);
                if (!headers)
                        return starve(head);
                head->headers = headers;
                head->room = room;
        }
        return true;
}

static void put(struct http2_head *head, const uint8_t *data, size_t len)
{
        memcpy(head->text + head->len, data, len);
        head->text[head->len + len] = '\0';
        head->len += len + 1;
}

static void keep(struct http2_head *head, const nghttp2_nv *nv)
{
        if (head->clipped || nv->namelen > TEXT_CAP || nv->valuelen > TEXT_CAP ||
            !reserve(head, nv->namelen + nv->valuelen + 2)) {
                head->clipped = true;
                return;
        }
        struct http_header *header = &head->headers[head->count++];
        memset(header, 0, sizeof *header);
        header->name_len = (uint32_t)nv->namelen;
        header->value_len = (uint32_t)nv->valuelen;
        put(head, nv->name, nv->namelen);
        put(head, nv->value, nv->valuelen);
}

int http2_head_add(struct http2_head *head, const uint8_t *data, size_t len, bool last)
{
        int flags;

        set_table(head);
        do {
                nghttp2_nv nv;
                flags = 0;
                ssize_t n = nghttp2_hd_inflate_hd2(head->inflater, &nv, &flags, data, len, last);
                if (n < 0)
                        return -EPROTO;
                data += n;
                len -= (size_t)n;
                if (flags & NGHTTP2_HD_INFLATE_EMIT)
                        keep(head, &nv);
        } while (len || flags & NGHTTP2_HD_INFLATE_EMIT);
        if (last)
                nghttp2_hd_inflate_end_headers(head->inflater);
        return 0;
}

static bool is_named(const struct http_header *header, const char *name)
{
        return header->name_len == strlen(name) && !memcmp(header->name, name, header->name_len);
}

/* Decimal digits only (RFC 9110 section 8.6); -1 for anything else. */
static int64_t number(const struct http_header *header)
{
        int64_t n = 0;

        if (!header->value_len || header->value_len > 18)
                return -1;
        for (uint32_t i = 0; i < header->value_len; i++) {
                if (header->value[i] < '0' || header->value[i] > '9')
                        return -1;
                n = n * 10 + (header->value[i] - '0');
        }
        return n;
}

/* A pseudo-header field (RFC 9113 section 8.3). Returns false for one that has no place in out. */
static bool take_pseudo(const struct http_header *header, struct http_head *out)
{
        int64_t status = is_named(header, ":status") ? number(header) : -1;

        if (is_named(header, ":method")) {
                out->method = header->value;
        } else if (is_named(header, ":path")) {
                out->target = header->value;
                out->target_len = header->value_len;
        } else if (is_named(header, ":scheme")) {
                out->scheme = header->value;
        } else if (is_named(header, ":authority")) {
                out->authority = header->value;
        } else if (status >= 100 && status <= 999) {
                out->status = (unsigned)status;
        } else {
                return false;
        }
        return true;
}

/* Turn lengths into pointers. */
static void point(struct http2_head *head)
{
        const char *at = head->text;

        for (size_t i = 0; i < head->count; i++) {
                struct http_header *header = &head->headers[i];
                header->name = at;
                header->value = at += header->name_len + 1;
                at += header->value_len + 1;
        }
}

void http2_head_describe(struct http2_head *head, struct http_head *out)
{
        size_t kept = 0;

        memset(out, 0, sizeof *out);
        out->major = 2;
        out->content_length = -1;
        out->clipped = head->clipped;
        point(head);
        for (size_t i = 0; i < head->count; i++) {
                const struct http_header *header = &head->headers[i];
                if (header->name_len && header->name[0] == ':' && take_pseudo(header, out))
                        continue;
                if (is_named(header, "content-length"))
                        out->content_length = number(header);
                head->headers[kept++] = *header;
        }
        out->headers = head->headers;
        out->header_count = kept;
}
