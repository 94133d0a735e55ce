/* Reads the body of an answer that is a page of a package index, and keeps what it says of files
 * (promised.h). Which pages: HTML, JSON, and what Cargo asks its registry for, as content type and
 * request say. Compressed ones (gzip, deflate) are unpacked on the way. Used by recorder.c. */
#ifndef INSPECT_PAGE_H
#define INSPECT_PAGE_H

#include "inspect/http.h"
#include "inspect/promised.h"

struct page;

/* Does this request come from Cargo? It says so. */
bool page_is_for_cargo(const struct http_head *request);

/* For the body of this answer at url (absolute); NULL if it is no page, or one that cannot be read
 * (another compression), or out of memory. Caller owns; promised is borrowed. */
struct page *page_new(struct promised *promised, const char *url, uint64_t request,
                      const struct http_head *answer, bool for_cargo);
void page_free(struct page *page); /* NULL allowed */

/* The next bytes of the body. Any segmentation. */
void page_read(struct page *page, const char *data, size_t len);

#endif
