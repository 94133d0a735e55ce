/* Frames of HTTP/2 (RFC 9113 section 4) out of bytes in any segmentation: what belongs to the
 * framing (head, padding, priority, promised stream) is taken off, the rest is handed out in place.
 * Pure: no I/O, no allocation, no state beyond the struct. Used by http2.c. */
#ifndef INSPECT_HTTP2_FRAME_H
#define INSPECT_HTTP2_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http2_type {
        HTTP2_DATA = 0,
        HTTP2_HEADERS = 1,
        HTTP2_PRIORITY = 2,
        HTTP2_RST_STREAM = 3,
        HTTP2_SETTINGS = 4,
        HTTP2_PUSH_PROMISE = 5,
        HTTP2_PING = 6,
        HTTP2_GOAWAY = 7,
        HTTP2_WINDOW_UPDATE = 8,
        HTTP2_CONTINUATION = 9
};

enum http2_flag {
        HTTP2_END_STREAM = 0x1,
        HTTP2_ACK = 0x1,
        HTTP2_END_HEADERS = 0x4,
        HTTP2_PADDED = 0x8,
        HTTP2_WITH_PRIORITY = 0x20
};

enum { HTTP2_HEAD_LEN = 9, HTTP2_PREFIX_CAP = 6 };

/* All zero is the state before the first frame. */
struct http2_framer {
        uint8_t type, flags; /* of the frame being read; other types than those above occur */
        uint32_t stream;
        uint32_t promised; /* PUSH_PROMISE: the stream it announces */

        uint8_t head[HTTP2_HEAD_LEN + HTTP2_PREFIX_CAP];
        uint8_t head_len;  /* read so far */
        uint8_t head_need; /* 0: not known before the first nine bytes */
        uint32_t left;     /* content to come */
        uint32_t padding;  /* and then this */
        bool begun;        /* a piece of this frame was handed out */
        bool done;         /* the last one, too */
};

enum http2_step {
        HTTP2_MORE,  /* all is consumed */
        HTTP2_PIECE, /* a piece of a frame's content; call again */
        HTTP2_BROKEN /* what comes is no HTTP/2: lengths that cannot be. Final */
};

struct http2_piece {
        const uint8_t *data; /* borrowed from the caller's bytes */
        size_t len;          /* may be 0 when it is the only one */
        bool first, last;    /* of its frame's content */
};

/* Take from *data, *len (both move on) up to one piece; f then describes its frame. */
enum http2_step http2_frame_next(struct http2_framer *f, const uint8_t **data, size_t *len,
                                 struct http2_piece *piece);

/* len bytes of a frame's content are not shown (nobody copied them): possible in the middle of DATA
 * only. Returns false if so many cannot be missing here. */
bool http2_frame_skip(struct http2_framer *f, uint64_t len);

#endif
