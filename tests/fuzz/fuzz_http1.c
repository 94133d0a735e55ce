/* inspect/http1.c: both directions of a connection. The input is a list of pieces: a byte that says
 * who sends (and how it ends), a byte for the length, the bytes. */
#include "fuzz_http.h"

#include "inspect/http1.h"

static void feed(struct http1 *h, int who, const uint8_t *data, size_t len)
{
        char *piece = fuzz_copy(data, len);
        uint64_t left = http1_server_left(h);

        if (who == 0)
                http1_client(h, piece, len);
        else if (who == 1)
                http1_server(h, piece, len);
        else if (who == 2 && left > 0)
                http1_server_skip(h, left < 100000 ? left : 100000);
        else if (who == 3)
                http1_server_eof(h);
        free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct seen seen = {0};
        struct http1 *h = http1_new(&seen_events, &seen);

        while (len >= 2) {
                size_t piece = data[1] < len - 2 ? data[1] : len - 2;

                feed(h, data[0] % 4, data + 2, piece);
                data += 2 + piece;
                len -= 2 + piece;
        }
        http1_finish(h);
        http1_free(h);
        return 0;
}
