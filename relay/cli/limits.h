/* Times and numbers among the options: one table of bounds and defaults. */
#ifndef CLI_LIMITS_H
#define CLI_LIMITS_H

#include "cli/options.h"
#include "net/relay.h"

/* Check the options and fill in defaults. Returns 0, or -1 after one line on standard error that
 * names the option, variable or file:line. */
int limits_read(struct relay_limits *out, const struct options *o);

/* The number of worker threads, the same way; -1 for a bad one. */
int limits_workers(const struct options *o);

#endif
