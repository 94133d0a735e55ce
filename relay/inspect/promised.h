/* What the index pages of a run say that files are to be: URL to checksum, for the bodies that come
 * later. Bounded: the newest PROMISED_MAX are kept. One per relay, used by all its recorders. */
#ifndef INSPECT_PROMISED_H
#define INSPECT_PROMISED_H

#include <stdint.h>

#include "inspect/checksum.h"

enum { PROMISED_MAX = 16384 }; /* the longest pages of public indexes name some 10,000 files */

struct promised;

/* Returns NULL when out of memory. Caller owns. */
struct promised *promised_new(void);
void promised_free(struct promised *table); /* NULL allowed */

/* The answer to this request said that what is at url has this checksum. A later word replaces an
 * earlier one. */
void promised_add(struct promised *table, const char *url, const struct checksum *sum,
                  uint64_t request);
/* False if nothing was said of url. */
bool promised_find(const struct promised *table, const char *url, struct checksum *sum,
                   uint64_t *request);
/* from was redirected to to: what is there is to be the same. */
void promised_move(struct promised *table, const char *from, const char *to);

/* A registry of Cargo's: config.json at this URL says where the crates are ("dl", a template:
 * https://doc.rust-lang.org/cargo/reference/registry-index.html); a page of that registry says what
 * one of them is to be. Pages of registries whose config.json was not seen say nothing. */
void promised_set_registry(struct promised *table, const char *config_url, const char *template);
void promised_add_crate(struct promised *table, const char *page_url, const char *name,
                        const char *version, const struct checksum *sum, uint64_t request);

#endif
