/* The no_proxy list as curl reads it, and what people write into it and mean something else. Pure.
 * Used by rules_route.c. */
#ifndef EXPLAIN_NOPROXY_H
#define EXPLAIN_NOPROXY_H

#include <stdbool.h>
#include <stddef.h>

enum noproxy_match {
        NOPROXY_NONE,
        NOPROXY_MEANT, /* an entry would match if it were written as the list wants it */
        NOPROXY_MATCH,
};

/* Does an entry of list stand for host (a name or a literal address)? *entry and *entry_len: which
 * one, borrowed from list. */
enum noproxy_match noproxy_find(const char *list, const char *host, const char **entry,
                                size_t *entry_len);

/* The list with every entry written as it must be. Caller owns; NULL when out of memory. */
char *noproxy_corrected(const char *list);

/* The list without this entry. Caller owns; NULL when out of memory. */
char *noproxy_without(const char *list, const char *entry, size_t entry_len);

#endif
