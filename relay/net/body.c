/* Framing of HTTP/1 bodies; see body.h. The chunked coding is read by a table of states, a byte at
 * a time between the chunks and in whole runs within them. */
#include "net/body.h"

#include <errno.h>
#include <string.h>

enum {
        SIZE_DIGITS_MAX = 15,   /* 60 bits: cannot overflow */
        EXTENSION_MAX = 1024,   /* bytes of one chunk's line */
        TRAILERS_MAX = HEAD_MAX /* bytes of all trailer fields */
};

enum chunk_state {
        SIZE, /* at least one digit must come */
        SIZE_MORE,
        EXTENSION,
        SIZE_LF,
        DATA,
        DATA_CR,
        DATA_LF,
        TRAILER_START,
        TRAILER_NAME,
        TRAILER_VALUE,
        TRAILER_LF,
        END_LF,
        END,
};

static int start_chunked(const struct head *head, struct body *out)
{
        const struct head_field *coding = head_find(head, "Transfer-Encoding");

        if (head_count(head, "Transfer-Encoding") != 1 || !text_is_nocase(coding->value, "chunked"))
                return -EINVAL;
        *out = (struct body){.kind = BODY_CHUNKED, .state = SIZE, .coding_stays = true};
        return 0;
}

static void start_length(struct body *out, uint64_t length)
{
        *out = (struct body){
                .kind = length > 0 ? BODY_LENGTH : BODY_NONE, .left = length, .coding_stays = true};
}

const char *body_of_request(const struct head *head, struct body *out)
{
        uint64_t length = 0;
        int stated = head_content_length(head, &length);

        if (stated == -EINVAL)
                return "its Content-Length is malformed or contradicts itself";
        if (head_find(head, "Transfer-Encoding") == NULL) {
                start_length(out, length);
                return NULL;
        }
        if (stated == 0)
                return "it has both Transfer-Encoding and Content-Length";
        if (head->minor == 0)
                return "it is HTTP/1.0 and has a Transfer-Encoding";
        return start_chunked(head, out) < 0 ? "its Transfer-Encoding is not chunked" : NULL;
}

bool body_has_coding(const struct head *head)
{
        const struct head_field *coding = head_find(head, "Transfer-Encoding");

        return coding != NULL && !(head_count(head, "Transfer-Encoding") == 1 &&
                                   text_is_nocase(coding->value, "identity"));
}

const char *body_of_response(const struct head *head, bool to_head, struct body *out, bool *faulty)
{
        uint64_t length = 0;
        int stated = head_content_length(head, &length);

        *faulty = false;
        start_length(out, 0);
        if (to_head || head->status < 200 || head->status == 204 || head->status == 304)
                return NULL;
        if (body_has_coding(head)) {
                *faulty = stated != -ENOENT || head->minor == 0;
                return start_chunked(head, out) < 0 ? "its Transfer-Encoding is not chunked" : NULL;
        }
        if (stated == -EINVAL)
                return "its Content-Length is malformed or contradicts itself";
        start_length(out, length);
        if (stated == -ENOENT)
                out->kind = BODY_UNTIL_CLOSE;
        return NULL;
}

bool body_is_done(const struct body *b)
{
        switch (b->kind) {
        case BODY_NONE:
                return true;
        case BODY_LENGTH:
                return b->left == 0;
        case BODY_CHUNKED:
                return b->state == END;
        case BODY_UNTIL_CLOSE:
                return false;
        }
        return false;
}

static int hex_digit(unsigned char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool size_byte(struct body *b, unsigned char c)
{
        int digit = hex_digit(c);

        if (digit >= 0) {
                b->left = b->state == SIZE ? 0 : b->left;
                b->line_len = b->state == SIZE ? 0 : b->line_len;
                b->left = b->left * 16 + (unsigned)digit;
                b->state = SIZE_MORE;
                return ++b->line_len <= SIZE_DIGITS_MAX;
        }
        if (b->state == SIZE || (c != ';' && c != '\r'))
                return false;
        b->state = c == ';' ? EXTENSION : SIZE_LF;
        return true;
}

static bool is_text(unsigned char c)
{
        return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static bool extension_byte(struct body *b, unsigned char c)
{
        if (c == '\r')
                b->state = SIZE_LF;
        return (c == '\r' || is_text(c)) && ++b->line_len <= EXTENSION_MAX;
}

static bool trailer_byte(struct body *b, unsigned char c)
{
        bool good = ++b->line_len <= TRAILERS_MAX;

        if (b->state == TRAILER_START && c == '\r') {
                b->state = END_LF;
        } else if (b->state == TRAILER_VALUE) {
                b->state = c == '\r' ? TRAILER_LF : TRAILER_VALUE;
                good = good && (c == '\r' || is_text(c));
        } else if (b->state == TRAILER_NAME && c == ':') {
                b->state = TRAILER_VALUE;
        } else {
                b->state = TRAILER_NAME;
                good = good && head_is_token_byte(c);
        }
        return good;
}

/* Expect one byte, then go on in next. */
static bool exactly(struct body *b, unsigned char c, unsigned char expected, enum chunk_state next)
{
        b->state = next;
        return c == expected;
}

/* Any byte that is not content. Returns false if it must not be there. */
static bool coding_byte(struct body *b, unsigned char c)
{
        switch ((enum chunk_state)b->state) {
        case SIZE:
        case SIZE_MORE:
                return size_byte(b, c);
        case EXTENSION:
                return extension_byte(b, c);
        case SIZE_LF:
                b->line_len = 0;
                return exactly(b, c, '\n', b->left > 0 ? DATA : TRAILER_START);
        case DATA_CR:
                return exactly(b, c, '\r', DATA_LF);
        case DATA_LF:
                return exactly(b, c, '\n', SIZE);
        case TRAILER_START:
        case TRAILER_NAME:
        case TRAILER_VALUE:
                return trailer_byte(b, c);
        case TRAILER_LF:
                return exactly(b, c, '\n', TRAILER_START);
        case END_LF:
                return exactly(b, c, '\n', END);
        case DATA:
        case END:
                break;
        }
        return false;
}

static enum body_result take_chunked(struct body *b, char *data, size_t len, size_t *used,
                                     size_t *kept)
{
        while (*used < len && b->state != END) {
                size_t n = 1;

                if (b->state == DATA) {
                        n = b->left < len - *used ? (size_t)b->left : len - *used;
                        b->left -= n;
                        if (b->left == 0)
                                b->state = DATA_CR;
                } else if (!coding_byte(b, (unsigned char)data[*used])) {
                        return BODY_BAD;
                } else if (!b->coding_stays) {
                        *used += 1;
                        continue;
                }
                if (*kept != *used)
                        memmove(data + *kept, data + *used, n);
                *kept += n;
                *used += n;
        }
        return b->state == END ? BODY_DONE : BODY_MORE;
}

enum body_result body_take(struct body *b, char *data, size_t len, size_t *used, size_t *kept)
{
        *used = *kept = 0;
        switch (b->kind) {
        case BODY_NONE:
                return BODY_DONE;
        case BODY_LENGTH:
                *used = *kept = b->left < len ? (size_t)b->left : len;
                b->left -= *used;
                return b->left == 0 ? BODY_DONE : BODY_MORE;
        case BODY_CHUNKED:
                return take_chunked(b, data, len, used, kept);
        case BODY_UNTIL_CLOSE:
                *used = *kept = len;
                return BODY_MORE;
        }
        return BODY_BAD;
}
