/* http2_frame.c: every stream of frames is cut whole, byte by byte and at random, always against a
 * guard page, and must tell the same story: what each frame is and what of its content remains when
 * padding and prefixes are off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "guarded.h"
#include "inspect/http2_frame.h"

enum split { WHOLE, BYTES, RANDOM, SPLIT_COUNT };

struct story {
        char text[4096];
        size_t len;
        bool broken;
};

static void tell_piece(struct story *s, const struct http2_framer *f,
                       const struct http2_piece *piece)
{
        size_t room = sizeof s->text - s->len;

        if (piece->first)
                s->len += (size_t)snprintf(s->text + s->len, room, "%u/%02x/%u/%u[", f->type,
                                           f->flags, f->stream, f->promised);
        room = sizeof s->text - s->len;
        s->len += (size_t)snprintf(s->text + s->len, room, "%.*s%s", (int)piece->len,
                                   (const char *)piece->data, piece->last ? "]" : "");
        assert_true(s->len < sizeof s->text);
}

static size_t next_len(enum split split, size_t left)
{
        if (split == WHOLE)
                return left;
        return split == BYTES ? 1 : 1 + (size_t)rand() % left;
}

static void play(struct story *story, const char *bytes, size_t len, enum split split)
{
        struct http2_framer f = {0};
        struct http2_piece piece;
        enum http2_step step = HTTP2_MORE;

        memset(story, 0, sizeof *story);
        for (size_t at = 0; at < len && step != HTTP2_BROKEN;) {
                size_t n = next_len(split, len - at), left = n;
                const uint8_t *data = guarded(bytes + at, n);
                while ((step = http2_frame_next(&f, &data, &left, &piece)) == HTTP2_PIECE)
                        tell_piece(story, &f, &piece);
                if (step == HTTP2_MORE)
                        assert_int_equal(left, 0);
                at += n;
        }
        story->broken = step == HTTP2_BROKEN;
}

static void expect(const char *bytes, size_t len, const char *text, bool broken)
{
        for (int split = 0; split < SPLIT_COUNT; split++)
                for (int round = 0; round < (split == RANDOM ? 100 : 1); round++) {
                        struct story story;
                        play(&story, bytes, len, (enum split)split);
                        assert_string_equal(story.text, text);
                        assert_int_equal(story.broken, broken);
                }
}

#define EXPECT(bytes, text)        expect(bytes, sizeof(bytes) - 1, text, false)
#define EXPECT_BROKEN(bytes, text) expect(bytes, sizeof(bytes) - 1, text, true)

static void test_kinds(void **state)
{
        (void)state;
        EXPECT("\0\0\3\0\1\0\0\0\5abc", "0/01/5/0[abc]");
        EXPECT("\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0", "4/00/0/0[]4/01/0/0[]");
        /* the reserved bit in front of the stream is not part of it */
        EXPECT("\0\0\1\1\4\x80\0\0\1h\0\0\2\xff\xff\0\0\0\1xy", "1/04/1/0[h]255/ff/1/0[xy]");
}

static void test_padding(void **state)
{
        (void)state;
        EXPECT("\0\0\6\0\x8\0\0\0\1\2abcPP\0\0\1\0\0\0\0\0\1z", "0/08/1/0[abc]0/00/1/0[z]");
        EXPECT("\0\0\1\0\x9\0\0\0\1\0", "0/09/1/0[]");
        EXPECT("\0\0\3\0\x9\0\0\0\1\2PP\0\0\0\4\0\0\0\0\0", "0/09/1/0[]4/00/0/0[]");
        EXPECT_BROKEN("\0\0\3\0\x8\0\0\0\1\3PP", "");
        EXPECT_BROKEN("\0\0\0\0\x8\0\0\0\1", "");
}

static void test_prefixes(void **state)
{
        (void)state;
        EXPECT("\0\0\6\1\x24\0\0\0\3....wh", "1/24/3/0[h]");
        EXPECT("\0\0\x9\1\x2c\0\0\0\3\2....whPP", "1/2c/3/0[h]");
        EXPECT("\0\0\5\5\4\0\0\0\1\0\0\0\2h", "5/04/1/2[h]");
        EXPECT("\0\0\7\5\xc\0\0\0\1\1\0\0\0\2hP", "5/0c/1/2[h]");
        EXPECT_BROKEN("\0\0\4\1\x24\0\0\0\3....", "");
        EXPECT_BROKEN("\0\0\3\5\4\0\0\0\1\0\0\0", "");
}

static void test_wrong_streams(void **state)
{
        (void)state;
        EXPECT_BROKEN("\0\0\0\0\0\0\0\0\0", "");
        EXPECT_BROKEN("\0\0\0\1\0\0\0\0\0", "");
        EXPECT_BROKEN("\0\0\0\4\0\0\0\0\1", "");
        EXPECT_BROKEN("\0\0\x8\7\0\0\0\0\1", "");
}

/* What the tap did not copy is counted off all the same. */
static void test_skip(void **state)
{
        struct http2_framer f = {0};
        struct http2_piece piece;
        const uint8_t *data = (const uint8_t *)"\0\1\4\0\x9\0\0\0\1\3", *next;
        size_t len = 10;

        (void)state;
        assert_false(http2_frame_skip(&f, 1));
        assert_int_equal(http2_frame_next(&f, &data, &len, &piece), HTTP2_MORE);
        assert_int_equal(f.left, 256);
        assert_false(http2_frame_skip(&f, 260));
        assert_true(http2_frame_skip(&f, 200));
        assert_true(http2_frame_skip(&f, 58)); /* into the padding */
        next = (const uint8_t *)"P\0\0\1\1\4\0\0\0\1h";
        len = 11;
        assert_int_equal(http2_frame_next(&f, &next, &len, &piece), HTTP2_PIECE);
        assert_true(piece.last && !piece.len && f.type == HTTP2_DATA);
        assert_int_equal(http2_frame_next(&f, &next, &len, &piece), HTTP2_PIECE);
        assert_true(f.type == HTTP2_HEADERS && piece.len == 1);
        assert_false(http2_frame_skip(&f, 1));
}

static void test_noise(void **state)
{
        (void)state;
        for (int round = 0; round < 20000; round++) {
                struct http2_framer f = {0};
                struct http2_piece piece;
                uint8_t bytes[64];
                size_t len = sizeof bytes;
                for (size_t i = 0; i < len; i++)
                        bytes[i] = (uint8_t)(rand() % (i % 9 < 3 ? 8 : 256));
                const uint8_t *data = guarded(bytes, len);
                while (http2_frame_next(&f, &data, &len, &piece) == HTTP2_PIECE)
                        assert_true(piece.len <= sizeof bytes);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kinds),    cmocka_unit_test(test_padding),
                cmocka_unit_test(test_prefixes), cmocka_unit_test(test_wrong_streams),
                cmocka_unit_test(test_skip),     cmocka_unit_test(test_noise),
        };

        srand(1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
