/* Compares a complete body with what was said of it before: in its own head (stated.h), or by an
 * index page (promised.h). Hashes only what there is something to compare with, or what the user
 * wants hashed. One per answer, used by recorder.c. */
#ifndef INSPECT_BODY_CHECK_H
#define INSPECT_BODY_CHECK_H

#include "inspect/http.h"
#include "inspect/promised.h"
#include "record/event.h"

struct body_check;

/* For the body of this answer at url (NULL: not known) to a request that is no HEAD. always: hash
 * it anyway. promised may be NULL. Returns NULL if there is nothing to do, or out of memory. Caller
 * owns. */
struct body_check *body_check_new(const struct http_head *answer, const char *url,
                                  const struct promised *promised, bool always);
void body_check_free(struct body_check *check); /* NULL allowed */

void body_check_read(struct body_check *check, const char *data, size_t len);

/* The body is complete: the fields of http.body. Once. */
void body_check_write(struct body_check *check, struct event *e);

#endif
