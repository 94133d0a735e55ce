/* See echo.h. */
#include "cli/echo.h"
#include "explain/line.h"
#include "record/reader.h"

#include <stdio.h>
#include <stdlib.h>

void echo_event(const char *line, size_t len)
{
        json_t *event = record_parse(line, len);
        size_t text_len = 0;
        char *text = NULL;
        FILE *out = event != NULL ? open_memstream(&text, &text_len) : NULL;

        if (out != NULL) {
                line_print(out, event);
                if (fclose(out) == 0)
                        fwrite(text, 1, text_len, stderr);
        }
        free(text);
        json_decref(event);
}
