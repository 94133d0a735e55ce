/* Reads a record while it is being written: whole lines only, each once, in order. Knows when
 * nobody writes it any more. Used by `tapline tail`. */
#ifndef RECORD_FOLLOW_H
#define RECORD_FOLLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct record_follow;

/* Returns 0 and *out (owned by the caller), or -errno. */
int record_follow_open(struct record_follow **out, const char *path);

/* The next event, which the caller owns; NULL when there is none yet, or out of memory. Half a line
 * at the end counts as not there yet: the writer may cut it off again. Lines that are no events are
 * passed over. Never blocks. */
json_t *record_follow_next(struct record_follow *follow);

/* Whether a tapline has this record open for writing. A record that preloaded programs write by
 * themselves, and one on a file system without locks (fcntl(2)), looks as if nobody had. */
bool record_follow_is_written(const struct record_follow *follow);

/* The last line is half a line. */
bool record_follow_is_cut(const struct record_follow *follow);

void record_follow_free(struct record_follow *follow); /* NULL is allowed */

#endif
