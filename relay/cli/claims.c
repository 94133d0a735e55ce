/* See claims.h. */
#include "cli/claims.h"
#include "record/mask.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { FOUND_MAX = 50 }; /* of one stream: a tool that says it a thousand times has said it */

static void record_claim(struct claims *c, const struct catalogue_tool *tool,
                         const struct catalogue_claim *claim)
{
        char masked[CLAIMS_LINE_MAX];
        struct event e;

        mask_argument(c->line, masked, sizeof masked);
        event_begin(&e, EVENT_TOOL_CLAIM, NULL, 0);
        event_str(&e, "tool", tool->name);
        event_str(&e, "stream", c->stream);
        event_str(&e, "text", masked);
        event_str(&e, "blames", claim->blames);
        record_write(c->record, &e);
        record_flush(c->record);
        c->found++;
}

static bool says(const char *line, const char *pattern)
{
        char anywhere[512];

        snprintf(anywhere, sizeof anywhere, "*%s*", pattern);
        return fnmatch(anywhere, line, FNM_NOESCAPE) == 0;
}

static void end_line(struct claims *c)
{
        char *start = c->line;

        c->line[c->len] = '\0';
        while (c->len > 0 && isspace((unsigned char)c->line[c->len - 1]))
                c->line[--c->len] = '\0';
        start += strspn(start, " \t");
        memmove(c->line, start, strlen(start) + 1);
        for (size_t i = 0;
             c->line[0] != '\0' && c->found < FOUND_MAX && i < catalogue_count(c->catalogue); i++) {
                const struct catalogue_tool *tool = catalogue_get(c->catalogue, i);

                for (size_t k = 0; k < tool->claim_count; k++)
                        if (says(c->line, tool->claims[k].says)) {
                                record_claim(c, tool, &tool->claims[k]);
                                break;
                        }
        }
        c->len = 0;
}

/* What of ECMA-48 programs use: ESC [ parameters letter, ESC ] text BEL or ESC \, ESC letter. */
static void feed_escape(struct claims *c, char byte)
{
        switch (c->state) {
        case CLAIMS_TEXT:
                return;
        case CLAIMS_ESCAPE:
                c->state = byte == '['                  ? CLAIMS_SEQUENCE
                           : byte == ']'                ? CLAIMS_STRING
                           : byte >= ' ' && byte <= '/' ? CLAIMS_ESCAPE
                                                        : CLAIMS_TEXT;
                return;
        case CLAIMS_SEQUENCE:
                if (byte >= '@' && byte <= '~')
                        c->state = CLAIMS_TEXT;
                return;
        case CLAIMS_STRING:
                if (byte == '\a')
                        c->state = CLAIMS_TEXT;
                else if (byte == '\033')
                        c->state = CLAIMS_ESCAPE;
                return;
        }
}

void claims_feed(struct claims *c, const char *data, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (c->state != CLAIMS_TEXT)
                        feed_escape(c, data[i]);
                else if (data[i] == '\033')
                        c->state = CLAIMS_ESCAPE;
                else if (data[i] == '\n' || data[i] == '\r')
                        end_line(c);
                else if (c->len < sizeof c->line - 1)
                        c->line[c->len++] = data[i] != '\0' ? data[i] : ' ';
        }
}

void claims_end(struct claims *c)
{
        if (c->len > 0)
                end_line(c);
}
