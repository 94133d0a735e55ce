/* The way out, from options and environment: upstream proxies and host lists, as curl reads them.
 */
#ifndef CLI_WAY_H
#define CLI_WAY_H

#include "cli/options.h"
#include "net/route.h"

/* All owned. */
struct way {
        struct upstream *https, *http; /* NULL: direct */
        struct route *rules;
        struct routing routing; /* of the above and no_proxy, which it borrows */
        char *shown;            /* the https one as it may be shown; NULL: direct */
        char *from;             /* option or variable that named it, or NULL */
        struct host_list *no_proxy, *bypass;
        bool taken_over; /* proxies come from the environment: the command's variables lead to us */
        bool bypass_none;
};

/* Returns 0, or -1 after one line on standard error. way_free in both cases. */
int way_read(struct way *way, const struct options *o);
void way_free(struct way *way);

#endif
