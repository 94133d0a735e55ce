/* References to absolute URLs (RFC 3986 section 5.2). Pure. */
#ifndef INSPECT_URL_H
#define INSPECT_URL_H

#include <stdbool.h>
#include <stddef.h>

/* Write what reference means on a page at base, an absolute URL, without its fragment. False if it
 * does not fit, or base has no host. */
bool url_resolve(const char *base, const char *reference, char *out, size_t cap);

#endif
