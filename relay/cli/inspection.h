/* What --inspect needs before a relay starts: the roots of the clients, the run's CA, the
 * inspector. Used by run and relay. */
#ifndef CLI_INSPECTION_H
#define CLI_INSPECTION_H

#include "cli/options.h"
#include "inspect/inspector.h"

struct inspection {
        struct trust *trust;         /* owned */
        struct ca *ca;               /* owned */
        struct inspector *inspector; /* owned; NULL: nothing is inspected */
};

/* Make what the options ask for; in is all zero. record is borrowed for in's life. Says on standard
 * error what is wrong, and which secrets are written where. Returns 0 or -1; free in both cases. */
int inspection_start(struct inspection *in, const struct options *o, struct record *record);
void inspection_free(struct inspection *in);

/* Write the CA's certificate to the file of --ca-out, if there is one. Returns 0, or -1 after a
 * complaint. */
int inspection_write_ca(const struct inspection *in, const struct options *o);

#endif
