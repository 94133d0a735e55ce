/* Reads an index page in JSON as it streams past and tells which file has which checksum: PEP 691
 * and PyPI's JSON ("url" with "hashes" or "digests"), npm and Composer ("tarball" or "url" with
 * "integrity" or "shasum"), and Cargo's sparse index (lines with "name", "vers", "cksum", and
 * config.json's "dl"). Pure; keeps what it needs of the objects that are open, no more. Tolerant:
 * what is no JSON gives nothing. Used by page.c. */
#ifndef INSPECT_PAGE_JSON_H
#define INSPECT_PAGE_JSON_H

#include "inspect/checksum.h"

struct page_json;

/* All strings are NUL-terminated and borrowed for the call. */
struct page_json_events {
        void (*file)(void *ctx, const char *url, const struct checksum *sum);
        void (*crate)(void *ctx, const char *name, const char *version, const struct checksum *sum);
        void (*downloads)(void *ctx, const char *template); /* where the crates are */
};

/* Returns NULL when out of memory. Caller owns; events and ctx are borrowed. */
struct page_json *page_json_new(const struct page_json_events *events, void *ctx);
void page_json_free(struct page_json *p); /* NULL allowed */

/* The next bytes. Any segmentation. */
void page_json_read(struct page_json *p, const char *data, size_t len);

#endif
