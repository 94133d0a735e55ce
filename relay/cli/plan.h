/* What `tapline relay` is told to do: options, the way out, who may use it, limits; all that a
 * reload of the configuration replaces. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "cli/options.h"
#include "cli/way.h"
#include "net/relay.h"

struct logins;

struct plan {
        struct relay_options relay; /* borrows from the rest; owned by the relay's users count */
        struct options options;     /* owned */
        struct way way;             /* owned */
        struct logins *logins;      /* owned or NULL */
        struct host_list *allow;    /* owned or NULL */
};

/* Read everything from the command line, the environment and the files. On success the plan is the
 * caller's, or the relay's once it has relay_options. *next as in options_read. Returns NULL after
 * one line on standard error; with --help a plan of which only options counts. */
struct plan *plan_read(int argc, char **argv, int *next);
void plan_free(struct plan *plan); /* NULL allowed */

#endif
