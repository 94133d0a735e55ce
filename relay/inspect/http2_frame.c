/* http2_frame.c: cuts a stream of bytes into the frames of HTTP/2; see http2_frame.h. Every length
 * comes from the network and is checked before it is used. */
#include "inspect/http2_frame.h"

#include <string.h>

static uint32_t number(const uint8_t *at, size_t bytes)
{
        uint32_t n = 0;

        while (bytes--)
                n = n << 8 | *at++;
        return n;
}

/* Bytes between a frame's head and its content: pad length, priority, promised stream (RFC 9113
 * sections 6.1, 6.2, 6.6). */
static unsigned prefix_len(uint8_t type, uint8_t flags)
{
        bool padded = flags & HTTP2_PADDED;

        switch (type) {
        case HTTP2_DATA:
                return padded;
        case HTTP2_HEADERS:
                return padded + (flags & HTTP2_WITH_PRIORITY ? 5u : 0u);
        case HTTP2_PUSH_PROMISE:
                return padded + 4u;
        default:
                return 0;
        }
}

/* Which frames are about a stream and which about the connection (section 6). */
static bool is_stream_right(uint8_t type, uint32_t stream)
{
        switch (type) {
        case HTTP2_DATA:
        case HTTP2_HEADERS:
        case HTTP2_PRIORITY:
        case HTTP2_RST_STREAM:
        case HTTP2_PUSH_PROMISE:
        case HTTP2_CONTINUATION:
                return stream != 0;
        case HTTP2_SETTINGS:
        case HTTP2_PING:
        case HTTP2_GOAWAY:
                return stream == 0;
        default:
                return true;
        }
}

static bool read_head(struct http2_framer *f)
{
        f->left = number(f->head, 3);
        f->type = f->head[3];
        f->flags = f->head[4];
        f->stream = number(f->head + 5, 4) & 0x7fffffff;
        f->promised = 0;
        f->padding = 0;
        f->begun = false;
        unsigned prefix = prefix_len(f->type, f->flags);
        if (prefix > f->left || !is_stream_right(f->type, f->stream))
                return false;
        f->left -= prefix;
        f->head_need = (uint8_t)(HTTP2_HEAD_LEN + prefix);
        return true;
}

static bool read_prefix(struct http2_framer *f)
{
        const uint8_t *at = f->head + HTTP2_HEAD_LEN;

        if (f->head_need == HTTP2_HEAD_LEN)
                return true;
        if (f->flags & HTTP2_PADDED)
                f->padding = *at++;
        if (f->type == HTTP2_PUSH_PROMISE)
                f->promised = number(at, 4) & 0x7fffffff;
        if (f->padding > f->left)
                return false;
        f->left -= f->padding;
        return true;
}

static void take_head(struct http2_framer *f, const uint8_t **data, size_t *len)
{
        size_t need = (f->head_need ? f->head_need : HTTP2_HEAD_LEN) - (size_t)f->head_len;
        size_t n = *len < need ? *len : need;

        memcpy(f->head + f->head_len, *data, n);
        f->head_len = (uint8_t)(f->head_len + n);
        *data += n;
        *len -= n;
}

/* Returns false on a frame that cannot be. */
static bool read_heads(struct http2_framer *f, const uint8_t **data, size_t *len)
{
        while (*len && (!f->head_need || f->head_len < f->head_need)) {
                take_head(f, data, len);
                if (!f->head_need && f->head_len == HTTP2_HEAD_LEN && !read_head(f))
                        return false;
                if (f->head_need && f->head_len == f->head_need && !read_prefix(f))
                        return false;
        }
        return true;
}

static bool is_head_whole(const struct http2_framer *f)
{
        return f->head_need && f->head_len == f->head_need;
}

static void end_frame(struct http2_framer *f)
{
        f->head_len = f->head_need = 0;
        f->done = false;
}

static void skip_padding(struct http2_framer *f, const uint8_t **data, size_t *len)
{
        size_t n = *len < f->padding ? *len : f->padding;

        *data += n;
        *len -= n;
        f->padding -= (uint32_t)n;
        if (!f->padding)
                end_frame(f);
}

static void take_piece(struct http2_framer *f, const uint8_t **data, size_t *len,
                       struct http2_piece *piece)
{
        size_t n = *len < f->left ? *len : f->left;

        *piece = (struct http2_piece){
                .data = *data, .len = n, .first = !f->begun, .last = n == f->left};
        *data += n;
        *len -= n;
        f->left -= (uint32_t)n;
        f->begun = true;
        f->done = piece->last;
}

enum http2_step http2_frame_next(struct http2_framer *f, const uint8_t **data, size_t *len,
                                 struct http2_piece *piece)
{
        if (f->done) {
                skip_padding(f, data, len);
                if (f->done)
                        return HTTP2_MORE;
        }
        if (!read_heads(f, data, len))
                return HTTP2_BROKEN;
        if (!is_head_whole(f) || (f->left && !*len))
                return HTTP2_MORE;
        take_piece(f, data, len, piece);
        return HTTP2_PIECE;
}

bool http2_frame_skip(struct http2_framer *f, uint64_t len)
{
        if (!is_head_whole(f) || f->type != HTTP2_DATA || len > (uint64_t)f->left + f->padding)
                return false;
        uint64_t content = len < f->left ? len : f->left;
        f->left -= (uint32_t)content;
        f->padding -= (uint32_t)(len - content);
        f->begun = true;
        return true;
}
