/* Packs plaintext for the relay; see tap.h. */
#include "tap.h"
#include "control.h"
#include "ring.h"
#include "socket.h"
#include "text.h"

#include <string.h>

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum {
        HEAD_MAX = 16384,
        NAME_MAX_LEN = 255,
        PACKET_MAX = WIRE_MAX - (int)sizeof(struct wire_tap) - NAME_MAX_LEN - 1,
        PREFACE_LEN = sizeof preface - 1,
};

static bool starts(const char *data, size_t len, const char *token)
{
        size_t n = strlen(token);

        return len >= n && memcmp(data, token, n) == 0;
}

static bool begins_request(const char *data, size_t len)
{
        static const char *const methods[] = {"GET ",    "HEAD ",  "POST ",   "PUT ",
                                              "DELETE ", "PATCH ", "OPTIONS "};

        if (len < 16)
                return false;
        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
                if (starts(data, len, methods[i]))
                        return true;
        return false;
}

bool tap_is_head(const char *data, size_t len, bool from_server)
{
        return from_server ? len >= 12 && starts(data, len, "HTTP/1.") : begins_request(data, len);
}

bool tap_is_preface(const char *data, size_t len)
{
        return len >= PREFACE_LEN && memcmp(data, preface, PREFACE_LEN) == 0;
}

/* Send pieces[2...] behind the message and the name. */
static void send_pieces(const struct tap_place *place, bool h2, size_t total_len,
                        struct iovec *pieces, size_t count)
{
        struct wire_tap message = {.from_server = place->from_server,
                                   .h2 = h2,
                                   .total_len = (uint32_t)total_len,
                                   .tls = place->tls};

        bool placed;

        if (control_is_absent())
                return;
        placed = place->fd >= 0 && socket_local(place->fd, &message.local);
        if (placed)
                message.cookie = socket_cookie(place->fd);
        if (place->name != NULL)
                message.name_len = (uint16_t)text_len(place->name, NAME_MAX_LEN);
        pieces[0] = (struct iovec){&message, sizeof message};
        pieces[1] = (struct iovec){(void *)place->name, message.name_len};
        /* Without a place the relay goes by what moves just now: it must hear of it at once. */
        ring_report_parts(WIRE_TAP, pieces, count, !placed);
}

/* The head and what fits behind it: the relay wants no bodies, only where the head ends. */
static size_t head_len(const char *data, size_t len)
{
        const char *end = memmem(data, len < HEAD_MAX ? len : HEAD_MAX, "\r\n\r\n", 4);

        return end != NULL ? (size_t)(end - data) + 4 : len < HEAD_MAX ? len : HEAD_MAX;
}

void tap_head(const struct tap_place *place, const char *data, size_t len)
{
        struct iovec pieces[3];

        pieces[2] = (struct iovec){(void *)data, head_len(data, len)};
        send_pieces(place, false, len, pieces, 3);
}

/* ---- HTTP/2, RFC 9113 section 4.1: length (24 bits), type, flags, stream (32), payload ---- */

enum frame_type { DATA = 0, PRIORITY = 2, PING = 6, WINDOW_UPDATE = 8, FRAME_TYPES = 10 };

enum { FRAME_HEADER = 9, END_STREAM = 1, FRAME_MAX = 1 << 20, PIECES = 12 };

/* A direction's state, unpacked. 64 bits are what a TLS object can keep for us. */
struct frames {
        uint32_t len;  /* as far as read; then what is left of the payload */
        uint8_t type;  /* once the fourth byte is read */
        uint8_t seen;  /* bytes of the header read so far */
        bool kept;     /* the payload is sent */
        bool begun;    /* a part of the header was sent in an earlier call */
        bool prefaced; /* the client's preface has been sent */
};

static struct frames unpack(uint64_t state)
{
        return (struct frames){.len = (uint32_t)(state & 0xffffff),
                               .type = (uint8_t)(state >> 24),
                               .seen = (uint8_t)(state >> 32 & 15),
                               .kept = state >> 36 & 1,
                               .begun = state >> 38 & 1,
                               .prefaced = state >> 39 & 1};
}

static uint64_t pack(const struct frames *f)
{
        return (f->len & 0xffffff) | (uint64_t)f->type << 24 | (uint64_t)f->seen << 32 |
               (uint64_t)f->kept << 36 | TAP_FRAMES_BEGIN | (uint64_t)f->begun << 38 |
               (uint64_t)f->prefaced << 39;
}

/* What is to be sent: up to PIECES parts of the caller's bytes. The first two are send_pieces()'s.
 */
struct batch {
        const struct tap_place *place;
        struct iovec pieces[2 + PIECES];
        size_t count, bytes;
};

static void flush(struct batch *b)
{
        if (b->count > 0)
                send_pieces(b->place, true, b->bytes, b->pieces, 2 + b->count);
        b->count = b->bytes = 0;
}

static void take(struct batch *b, const char *data, size_t len)
{
        while (len > 0) {
                struct iovec *last = &b->pieces[2 + b->count - 1];
                size_t n = PACKET_MAX - b->bytes < len ? PACKET_MAX - b->bytes : len;
                bool joins = b->count > 0 && (const char *)last->iov_base + last->iov_len == data;

                if (n == 0 || (!joins && b->count == PIECES)) {
                        flush(b);
                        continue;
                }
                if (joins)
                        last->iov_len += n;
                else
                        b->pieces[2 + b->count++] = (struct iovec){(void *)data, n};
                b->bytes += n;
                data += n;
                len -= n;
        }
}

/* Frames without a head or an end of a stream in them, of which a long transfer consists. */
static bool is_kept(uint8_t type)
{
        return type != DATA && type != PRIORITY && type != PING && type != WINDOW_UPDATE &&
               type < FRAME_TYPES;
}

/* Read the header on from data, and take it if it is wanted. Returns the bytes eaten, or 0 if this
 * can be no frame. A header that two calls share is taken whole: when its first part passed nobody
 * knew. */
static size_t read_header(struct frames *f, struct batch *b, const char *data, size_t len)
{
        size_t n = 0;

        for (; f->seen < FRAME_HEADER && n < len; n++, f->seen++) {
                if (f->seen < 3)
                        f->len = f->len << 8 | (uint8_t)data[n];
                else if (f->seen == 3)
                        f->type = (uint8_t)data[n];
        }
        if (f->len > FRAME_MAX)
                return 0;
        if (f->seen < FRAME_HEADER) {
                take(b, data, n);
                f->begun = true;
                return n;
        }
        f->kept = is_kept(f->type);
        if (f->begun || f->kept || (f->type == DATA && (data[4] & END_STREAM) != 0))
                take(b, data, n);
        f->begun = false;
        return n;
}

static size_t read_payload(struct frames *f, struct batch *b, const char *data, size_t len)
{
        size_t n = f->len < len ? f->len : len;

        if (f->kept && data != NULL)
                take(b, data, n);
        f->len -= (uint32_t)n;
        return n;
}

uint64_t tap_frames(const struct tap_place *place, uint64_t state, const char *data, size_t len)
{
        struct frames f = unpack(state);
        struct batch batch = {.place = place};
        size_t at = 0, n;

        if (!f.prefaced && !place->from_server && len >= PREFACE_LEN) {
                take(&batch, data, PREFACE_LEN);
                at = PREFACE_LEN;
        }
        f.prefaced = true;
        while (at < len) {
                if (f.seen == FRAME_HEADER && f.len == 0)
                        f.seen = f.type = 0;
                n = f.seen == FRAME_HEADER
                            ? read_payload(&f, &batch, data != NULL ? data + at : NULL, len - at)
                    : data != NULL ? read_header(&f, &batch, data + at, len - at)
                                   : 0;
                if (n == 0)
                        return 0;
                at += n;
        }
        flush(&batch);
        return pack(&f);
}
