/* Reads a simple index (PEP 503) in HTML as it streams past: each href with a checksum in its
 * fragment, "../moss-1.0.tar.gz#sha256=...". Pure. Used by page.c. */
#ifndef INSPECT_PAGE_HTML_H
#define INSPECT_PAGE_HTML_H

#include "inspect/checksum.h"

struct page_html;

typedef void page_html_file(void *ctx, const char *url, const struct checksum *sum);

/* Returns NULL when out of memory. Caller owns; file gets URLs as they stand there, without
 * fragment, borrowed for the call. */
struct page_html *page_html_new(page_html_file *file, void *ctx);
void page_html_free(struct page_html *p); /* NULL allowed */

/* The next bytes. Any segmentation. */
void page_html_read(struct page_html *p, const char *data, size_t len);

#endif
