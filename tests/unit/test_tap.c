/* preload/tap.c: of a stream of HTTP/2 frames, however it is cut into calls, the same is sent: all
 * but the payloads of long transfers. */
#include "../../preload/tap.c"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- stand-ins for what tap.c calls ---- */

static char sent[1 << 16];
static size_t sent_len, packets;

void ring_report_parts(enum wire_type type, struct iovec *parts, size_t count, bool at_once)
{
        size_t len = 0;

        assert_int_equal(type, WIRE_TAP);
        assert_true(at_once); /* no descriptor, no place */
        for (size_t i = 0; i < count; i++) {
                if (i >= 2) {
                        assert_true(sent_len + parts[i].iov_len <= sizeof sent);
                        memcpy(sent + sent_len, parts[i].iov_base, parts[i].iov_len);
                        sent_len += parts[i].iov_len;
                }
                len += parts[i].iov_len;
        }
        assert_true(len <= WIRE_MAX);
        packets++;
}

bool control_is_absent(void)
{
        return false;
}

bool socket_local(int fd, struct wire_addr *out)
{
        (void)fd;
        (void)out;
        return false;
}

uint64_t socket_cookie(int fd)
{
        (void)fd;
        return 0;
}

/* ---- a stream ---- */

static char stream[1 << 20];
static size_t stream_len;

static void put_frame(unsigned type, unsigned flags, size_t len)
{
        const unsigned char header[FRAME_HEADER] = {(unsigned char)(len >> 16),
                                                    (unsigned char)(len >> 8),
                                                    (unsigned char)len,
                                                    (unsigned char)type,
                                                    (unsigned char)flags,
                                                    0,
                                                    0,
                                                    0,
                                                    1};

        memcpy(stream + stream_len, header, sizeof header);
        stream_len += sizeof header;
        memset(stream + stream_len, 'a' + (int)type, len);
        stream_len += len;
}

static void make_stream(void)
{
        stream_len = 0;
        memcpy(stream, preface, PREFACE_LEN);
        stream_len = PREFACE_LEN;
        put_frame(4, 0, 18);
        put_frame(1, 4, 50);
        put_frame(WINDOW_UPDATE, 0, 4);
        put_frame(DATA, 0, 16384);
        put_frame(DATA, 0, 1);
        put_frame(PING, 0, 8);
        put_frame(1, 4, 16384);
        put_frame(9, 4, 16384);
        put_frame(DATA, END_STREAM, 5000);
        put_frame(4, 1, 0);
        put_frame(3, 0, 4);
        put_frame(77, 0, 30); /* of an extension */
        put_frame(7, 0, 8);
}

/* What the relay makes of it: headers of frames without their payloads fall away but for the last
 * DATA of a stream. */
static size_t reduce(const char *data, size_t len, char *out)
{
        size_t at = PREFACE_LEN, n = 0;

        assert_true(len >= PREFACE_LEN);
        while (at < len) {
                const unsigned char *h = (const unsigned char *)data + at;
                size_t payload = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
                bool kept = is_kept(h[3]);

                assert_true(at + FRAME_HEADER <= len);
                if (kept || (h[3] == DATA && (h[4] & END_STREAM))) {
                        memcpy(out + n, h, FRAME_HEADER);
                        n += FRAME_HEADER;
                }
                at += FRAME_HEADER;
                if (!kept)
                        continue;
                memcpy(out + n, data + at, payload);
                n += payload;
                at += payload;
        }
        assert_int_equal(at, len);
        return n;
}

static uint64_t pass(size_t chunk)
{
        struct tap_place place = {.fd = -1, .name = "index.example"};
        uint64_t state = TAP_FRAMES_BEGIN;

        sent_len = packets = 0;
        /* The preface comes in one piece with the first bytes behind it, or it is not recognised.
         */
        for (size_t at = 0; at < stream_len && state != 0;) {
                size_t n = at == 0 && chunk < PREFACE_LEN ? PREFACE_LEN : chunk;

                n = n < stream_len - at ? n : stream_len - at;
                state = tap_frames(&place, state, stream + at, n);
                at += n;
        }
        return state;
}

static void test_any_cut(void **state)
{
        static const size_t chunks[] = {1, 2, 3, 5, 8, 9, 10, 100, 1000, 16384, 16393, 40000};
        static char whole[1 << 16], again[1 << 16];
        size_t whole_len, again_len;

        (void)state;
        make_stream();
        assert_true(pass(stream_len) != 0);
        whole_len = reduce(sent, sent_len, whole);
        /* 16 KiB of HEADERS and of CONTINUATION, and little else: no DATA. */
        assert_in_range(whole_len, 2 * 16384, 2 * 16384 + 300);
        for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
                assert_true(pass(chunks[i]) != 0);
                again_len = reduce(sent, sent_len, again);
                assert_int_equal(again_len, whole_len);
                assert_memory_equal(again, whole, whole_len);
        }
}

static void test_long_transfer_is_silent(void **state)
{
        struct tap_place place = {.fd = -1, .from_server = true};
        uint64_t now = TAP_FRAMES_BEGIN;

        (void)state;
        stream_len = 0;
        for (int i = 0; i < 60; i++)
                put_frame(DATA, 0, 16384);
        packets = 0;
        for (size_t at = 0; at < stream_len; at += 16393)
                now = tap_frames(&place, now, stream + at, 16393);
        assert_true(now != 0);
        assert_int_equal(packets, 0);
        /* The same by sendfile, of which only the payload may be. */
        put_frame(DATA, 0, 8192);
        now = tap_frames(&place, now, stream + stream_len - 8192 - FRAME_HEADER, FRAME_HEADER);
        now = tap_frames(&place, now, NULL, 8192);
        assert_true(now != 0);
        assert_int_equal(tap_frames(&place, now, NULL, 1), 0);
}

/* What can be no frame ends it: the bytes of something else are never sent as if they were. */
static void test_not_frames(void **state)
{
        struct tap_place place = {.fd = -1, .from_server = true};
        char junk[64];

        (void)state;
        memset(junk, 'x', sizeof junk);
        packets = 0;
        assert_int_equal(tap_frames(&place, TAP_FRAMES_BEGIN, junk, sizeof junk), 0);
        assert_int_equal(packets, 0);
}

static void test_heads(void **state)
{
        static const char request[] = "GET /a HTTP/1.1\r\nHost: index.example\r\n\r\nbody";
        static const char response[] = "HTTP/1.1 200 OK\r\n\r\n";
        struct tap_place place = {.fd = -1};

        (void)state;
        assert_true(tap_is_head(request, sizeof request - 1, false));
        assert_false(tap_is_head(request, sizeof request - 1, true));
        assert_true(tap_is_head(response, sizeof response - 1, true));
        assert_false(tap_is_head("GET ", 4, false));
        assert_true(tap_is_preface(preface, PREFACE_LEN));
        assert_false(tap_is_preface(preface, PREFACE_LEN - 1));
        sent_len = 0;
        tap_head(&place, request, sizeof request - 1);
        assert_int_equal(sent_len, sizeof request - 1 - 4); /* without the body */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_any_cut),
                cmocka_unit_test(test_long_transfer_is_silent),
                cmocka_unit_test(test_not_frames),
                cmocka_unit_test(test_heads),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
