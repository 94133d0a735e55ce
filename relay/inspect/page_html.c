/* Index pages in HTML; see page_html.h. */
#include "inspect/page_html.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LINK_CAP = 2048 };

static const char wanted[] = "href=";

struct page_html {
        page_html_file *file;
        void *ctx;
        size_t matched; /* of wanted */
        char quote;     /* of the value that is being read; 0: none is */
        char link[LINK_CAP];
        size_t link_len;
        bool clipped;
};

struct page_html *page_html_new(page_html_file *file, void *ctx)
{
        struct page_html *p = calloc(1, sizeof *p);

        if (p) {
                p->file = file;
                p->ctx = ctx;
        }
        return p;
}

void page_html_free(struct page_html *p)
{
        free(p);
}

/* In place. Other entities have no place in a URL. */
static void unescape_ampersands(char *text)
{
        char *to = text;

        while (*text) {
                *to++ = *text;
                text += strncmp(text, "&amp;", 5) ? 1 : 5;
        }
        *to = '\0';
}

static void end_link(struct page_html *p)
{
        struct checksum sum;
        char *fragment;

        p->link[p->link_len] = '\0';
        fragment = strchr(p->link, '#');
        if (p->clipped || !fragment)
                return;
        *fragment++ = '\0';
        unescape_ampersands(p->link);
        if ((!strncmp(fragment, "sha256=", 7) &&
             checksum_from_hex(&sum, CHECKSUM_SHA256, fragment + 7, strcspn(fragment + 7, "&"))) ||
            (!strncmp(fragment, "sha512=", 7) &&
             checksum_from_hex(&sum, CHECKSUM_SHA512, fragment + 7, strcspn(fragment + 7, "&"))))
                p->file(p->ctx, p->link, &sum);
}

static void read_value(struct page_html *p, char c)
{
        if (c == p->quote) {
                p->quote = '\0';
                end_link(p);
        } else if (p->link_len + 1 < sizeof p->link) {
                p->link[p->link_len++] = c;
        } else {
                p->clipped = true;
        }
}

static void read_outside(struct page_html *p, char c)
{
        if (p->matched == sizeof wanted - 1) {
                if (isspace((unsigned char)c))
                        return;
                p->matched = 0;
                p->quote = c == '"' || c == '\'' ? c : '\0';
                p->link_len = 0;
                p->clipped = false;
        } else if (tolower((unsigned char)c) == wanted[p->matched]) {
                p->matched++;
        } else if (!isspace((unsigned char)c) || p->matched != sizeof wanted - 2) {
                p->matched = tolower((unsigned char)c) == wanted[0];
        }
}

void page_html_read(struct page_html *p, const char *data, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (p->quote)
                        read_value(p, data[i]);
                else
                        read_outside(p, data[i]);
}
