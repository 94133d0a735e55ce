/* What became of each thing that was asked for by HTTP: an index by URL and by file name, so that a
 * failure that something made good later is told from one that stayed. Used by rules_http.c and
 * rules_transfer.c. */
#ifndef EXPLAIN_ANSWERS_H
#define EXPLAIN_ANSWERS_H

#include "explain/rules.h"

struct answer {
        char *key;                  /* owned: a URL without its query, or the last part of one */
        int64_t good_us;            /* newest answer below 400 that was no redirect, or -1 */
        int64_t whole_us;           /* newest good body that was complete, or -1 */
        size_t requests;            /* of whole things, by anybody */
        const json_t *first, *last; /* of them; borrowed */
        size_t absences;            /* answers with 404 or 410 */
        size_t redirects;           /* answers with 3xx and a Location */
        UT_hash_handle hh;
};

struct answers {
        struct answer *urls, *names;
        bool oom; /* some are missing */
};

/* answers_fini in any case. */
void answers_init(struct answers *answers, const struct facts *facts);
void answers_fini(struct answers *answers);

/* NULL if there is none (or no url). */
const struct answer *answers_of_url(const struct answers *answers, const char *url);
/* The same thing from wherever: another index, another mirror. */
const struct answer *answers_of_name(const struct answers *answers, const char *url);

/* Are both the same thing, by its name? */
bool answers_same_name(const char *url, const char *other);

/* The URL of a response or body: its own or its request's. May be NULL. */
const char *answers_url(const struct facts *facts, const json_t *event);

/* A header's value, or NULL. Borrowed from the event. */
const char *answers_header(const json_t *event, const char *name);

#endif
