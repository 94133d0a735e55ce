/* inspect/http2.c: both directions of a connection, as in fuzz_http1.c; the preface and an empty
 * SETTINGS of each side go first unless the input's first byte says otherwise. */
#include "fuzz_http.h"

#include "inspect/http2.h"

static void feed(struct http2 *h, int who, const uint8_t *data, size_t len)
{
        char *piece = fuzz_copy(data, len);

        if (who == 0)
                http2_client(h, piece, len);
        else if (who == 1)
                http2_server(h, piece, len);
        else if (who == 2)
                http2_client_skip(h, len);
        else
                http2_server_skip(h, len);
        free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static const char settings[] = "\0\0\0\4\0\0\0\0";
        struct seen seen = {.streams = true};
        struct http2 *h;

        if (len == 0)
                return 0;
        h = http2_new(&seen_events, &seen);
        if (data[0] != 0xff) {
                http2_client(h, http2_preface, sizeof http2_preface - 1);
                http2_client(h, settings, 9);
                http2_server(h, settings, 9);
        }
        data++;
        len--;
        while (len >= 2) {
                size_t piece = data[1] < len - 2 ? data[1] : len - 2;

                feed(h, data[0] % 4, data + 2, piece);
                data += 2 + piece;
                len -= 2 + piece;
        }
        http2_finish(h);
        http2_free(h);
        return 0;
}
