/* record/event.c: whatever goes into an event, a line of JSON comes out. */
#include "fuzz.h"

#include "record/event.h"

#include <jansson.h>

static size_t next(const uint8_t **data, size_t *len, const char **piece)
{
        size_t n;

        if (*len == 0) {
                *piece = "";
                return 0;
        }
        n = (*data)[0] * 300u;
        n = n < *len - 1 ? n : *len - 1;
        *piece = (const char *)*data + 1;
        *data += n + 1;
        *len -= n + 1;
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct event e;
        struct event_who who = {.pid = 1, .tid = 2, .exe = "/bin/x"};
        int open = 0;
        size_t line_len;
        const char *line;
        json_t *parsed;

        event_begin_at(&e, EVENT_RELAY_NOTE, &who, 3, (int64_t)len * 1234567891234);
        while (len > 0) {
                uint8_t what = *data++;
                const char *piece;
                size_t n;

                len--;
                n = next(&data, &len, &piece);
                if (what % 5 == 0)
                        event_strn(&e, open > 0 ? NULL : "text", piece, n);
                else if (what % 5 == 1)
                        event_int(&e, open > 0 ? NULL : "int", (int64_t)(what * n) - 1000);
                else if (what % 5 == 2)
                        event_ms(&e, open > 0 ? NULL : "ms", (int64_t)(what * n));
                else if (what % 5 == 3 && open < 40 && ++open > 0)
                        event_open_array(&e, open > 1 ? NULL : "list");
                else if (what % 5 == 4 && open > 0 && open-- > 0)
                        event_close_array(&e);
        }
        while (open-- > 0)
                event_close_array(&e);
        line = event_finish(&e, &line_len);
        REQUIRE(line_len <= EVENT_CAP && line[line_len - 1] == '\n');
        REQUIRE(memchr(line, '\n', line_len - 1) == NULL);
        parsed = json_loadb(line, line_len, 0, NULL);
        REQUIRE(parsed != NULL);
        json_decref(parsed);
        return 0;
}
