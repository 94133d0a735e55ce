/* preload/tap.c and net/tapped.c: plaintext of a TLS connection from the program's calls to the
 * relay's observer. The input is a list of calls: a direction, a length, the bytes. Whatever a peer
 * sends, the program's half sends the same of HTTP/2 however it came cut into calls. */
#include "fuzz_relay.h"

#include "../../preload/tap.c"
#include "net/tapped.h"

enum { CLIENT, SERVER, DIRECTIONS, STREAM_CAP = 1 << 16 };

/* What the library has sent of one direction, and what of that the relay needs. */
struct sent {
        char bytes[2 * STREAM_CAP];
        size_t len;
};

static struct sent *sink; /* where ring_report_parts() keeps what is sent */
static bool to_relay;

void ring_report_parts(enum wire_type type, struct iovec *parts, size_t count, bool at_once)
{
        static _Alignas(8) char packet[WIRE_MAX];
        size_t len = 0;

        REQUIRE(type == WIRE_TAP && count >= 3 && at_once);
        for (size_t i = 0; i < count; i++) {
                REQUIRE(len + parts[i].iov_len <= sizeof packet);
                if (parts[i].iov_len > 0)
                        memcpy(packet + len, parts[i].iov_base, parts[i].iov_len);
                len += parts[i].iov_len;
                if (i < 2)
                        continue;
                REQUIRE(sink->len + parts[i].iov_len <= sizeof sink->bytes);
                memcpy(sink->bytes + sink->len, parts[i].iov_base, parts[i].iov_len);
                sink->len += parts[i].iov_len;
        }
        if (to_relay)
                tapped_message(fuzz_relay(), 1, (const struct wire_tap *)packet, len);
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

/* Strike out what the relay strikes out: headers of frames without payload, except a DATA that
 * ends a stream; and a header at the end that is not whole. Returns the new length. */
static size_t reduce(char *bytes, size_t len, size_t at)
{
        size_t n = at;

        while (len - at >= FRAME_HEADER) {
                const unsigned char *h = (const unsigned char *)bytes + at;
                size_t frame = FRAME_HEADER;
                bool kept = is_kept(h[3]), ends = h[3] == DATA && (h[4] & END_STREAM) != 0;

                if (kept)
                        frame += (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
                frame = frame < len - at ? frame : len - at;
                if (kept || ends) {
                        memmove(bytes + n, bytes + at, frame);
                        n += frame;
                }
                at += frame;
        }
        return n;
}

/* The same bytes in one call: the same has to be sent, and the same state be left. */
static void check_whole(bool from_server, const char *stream, size_t len, struct sent *cut,
                        uint64_t cut_state)
{
        static struct sent whole;
        struct tap_place place = {.fd = -1, .from_server = from_server};
        size_t preface_len = from_server ? 0 : PREFACE_LEN;
        uint64_t state;

        if (len == 0)
                return;
        whole.len = 0;
        sink = &whole;
        to_relay = false;
        state = tap_frames(&place, TAP_FRAMES_BEGIN, stream, len);
        REQUIRE(state == cut_state);
        if (state == 0)
                return;
        whole.len = reduce(whole.bytes, whole.len, preface_len);
        cut->len = reduce(cut->bytes, cut->len, preface_len);
        REQUIRE(whole.len == cut->len && memcmp(whole.bytes, cut->bytes, whole.len) == 0);
}

static void frames_of(const uint8_t *data, size_t len)
{
        static char streams[DIRECTIONS][STREAM_CAP];
        static struct sent sent[DIRECTIONS];
        uint64_t states[] = {TAP_FRAMES_BEGIN, TAP_FRAMES_BEGIN};
        size_t lens[] = {PREFACE_LEN, 0};
        struct tap_place place = {.tls = 2, .fd = -1, .name = "index.example"};

        to_relay = true;
        sent[CLIENT].len = sent[SERVER].len = 0;
        memcpy(streams[CLIENT], preface, PREFACE_LEN);
        sink = &sent[CLIENT];
        states[CLIENT] = tap_frames(&place, states[CLIENT], preface, PREFACE_LEN);
        while (len >= 2) {
                int who = data[0] & 1;
                size_t n = data[1] < len - 2 ? data[1] : len - 2;

                if (states[who] == 0 || lens[who] + n > STREAM_CAP)
                        break;
                memcpy(streams[who] + lens[who], data + 2, n);
                sink = &sent[who];
                place.from_server = who == SERVER;
                states[who] = tap_frames(&place, states[who], streams[who] + lens[who], n);
                lens[who] += n;
                data += 2 + n;
                len -= 2 + n;
        }
        for (int who = CLIENT; who <= SERVER; who++)
                check_whole(who == SERVER, streams[who], lens[who], &sent[who], states[who]);
}

static void heads_of(const uint8_t *data, size_t len)
{
        static struct sent sent;
        struct tap_place place = {.tls = 1, .fd = -1};

        to_relay = true;
        while (len >= 3) {
                size_t want = data[1] + 256u * data[2], n = want < len - 3 ? want : len - 3;
                char *copy = fuzz_copy(data + 3, n);

                sent.len = 0;
                sink = &sent;
                place.from_server = data[0] & 1;
                if (tap_is_head(copy, n, place.from_server))
                        tap_head(&place, copy, n);
                REQUIRE(sent.len <= n);
                free(copy);
                data += 3 + n;
                len -= 3 + n;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        if (len == 0)
                return 0;
        fuzz_relay();
        if (data[0] == '1')
                heads_of(data + 1, len - 1);
        else
                frames_of(data + 1, len - 1);
        return 0;
}
