/* Masking of secrets before anything is written: credentials in URLs, header fields that carry
 * them, query parameters that look like tokens. Pure functions. On doubt they mask: a lost detail
 * is a nuisance, a password in a bug report is not. */
#ifndef RECORD_MASK_H
#define RECORD_MASK_H

#include <stdbool.h>
#include <stddef.h>

/* Copy a URL or request target to out with user:password@ replaced by "***@" and the values of
 * secret-looking query parameters by "***". Works on text with URLs in it and on a proxy without a
 * scheme ("user:pw@host:3128"). Always NUL-terminates (out_cap 0 writes nothing), cuts what does
 * not fit; returns the length written. */
size_t mask_url(const char *in, size_t in_len, char *out, size_t out_cap);

/* True if the value of a header field with this name must not be recorded. */
bool mask_header_is_secret(const char *name, size_t name_len);

/* True if this is a name (of an option, a variable, a query parameter) whose value must not be
 * recorded: "api_key", "NPM_TOKEN", "password". */
bool mask_name_is_secret(const char *name, size_t name_len);

/* Copy a header field's value as it may be recorded: a secret one keeps its scheme token
 * ("Basic ***"), Location and the like are treated as URLs. Same contract as mask_url. */
size_t mask_header(const char *name, size_t name_len, const char *value, size_t value_len,
                   char *out, size_t out_cap);

/* Copy one command-line argument: as mask_url, and --password=..., --token=..., NPM_TOKEN=... and
 * "Authorization: ..." lose their value, in each word of it (sh -c "..."). Same contract. */
size_t mask_argument(const char *in, char *out, size_t out_cap);

/* The same for an argument that stands behind previous (NULL: none): "--password x", "-u a:b". */
size_t mask_argument_after(const char *previous, const char *in, char *out, size_t out_cap);

#endif
