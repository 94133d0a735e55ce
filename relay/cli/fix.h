/* tapline run --fix: the remedies that are safe. A known tool's cache that cannot be used is moved
 * to a private directory, through the tool's own variable, in the environment of the command alone.
 */
#ifndef CLI_FIX_H
#define CLI_FIX_H

#include "cli/childenv.h"
#include "explain/catalogue.h"
#include "record/writer.h"

/* Look at the caches that command would use and move those without which it would fail. Each move
 * is said on standard error and in the record. Nothing that exists is changed. Returns 0, or
 * -ENOMEM. */
int fix_caches(const struct catalogue *catalogue, char *const command[], struct childenv *env,
               struct record *rec);

#endif
