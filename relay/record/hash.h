/* uthash, for the tables of relay/: out of memory it ends the process unless it is told not to.
 * Whoever adds to a table looks afterwards: entry->hh.tbl is NULL when the entry is not in it, and
 * is still the caller's. */
#ifndef RECORD_HASH_H
#define RECORD_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
