/* The record's file: JSON Lines, append only, mode 0600. Owns the descriptor and a buffer that is
 * written out at the end of each turn of the loop. Used by net/ and inspect/ through record_write.
 */
#ifndef RECORD_WRITER_H
#define RECORD_WRITER_H

#include "record/event.h"

struct record;

/* Open path for appending, creating it with 0600; a path that is a symbolic link, or a file of
 * another user, is refused (-EPERM). path NULL: a record that only counts and drops (for tests and
 * `tapline relay` without --record). Returns 0 and *out (owned by the caller), or -errno. */
int record_open(struct record **out, const char *path);

/* Add an event. Finishes e. Never blocks for longer than write(2) on a file; on a write error the
 * event is dropped, counted, and reported once on standard error. */
void record_write(struct record *rec, struct event *e);

/* Write a relay.note event: one sentence, of the flow and the process that it is about (0 and NULL:
 * of none). */
void record_note(struct record *rec, const struct event_who *who, uint64_t flow, const char *note);

/* Whether an event that is written goes anywhere: what only makes events may be left undone if not.
 */
bool record_is_kept(const struct record *rec);

/* Also hand every event's line to echo; NULL: no longer. */
void record_echo(struct record *rec, void (*echo)(const char *line, size_t len));

/* Whether some process has the record that fd reads open for writing, as record_open does; false
 * also where the file system has no locks. */
bool record_has_writer(int fd);

/* Write out what is buffered. Returns 0 or -errno of the first failure since the last call. */
int record_flush(struct record *rec);

/* Events dropped so far because the file could not be written. */
uint64_t record_dropped(const struct record *rec);

/* Flush and free. NULL is allowed. */
void record_free(struct record *rec);

#endif
