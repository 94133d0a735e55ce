/* Finds in a stream of output the lines with which tools are known to mislead, by the catalogue. */
#ifndef CLI_CLAIMS_H
#define CLI_CLAIMS_H

#include "explain/catalogue.h"
#include "record/writer.h"

enum { CLAIMS_LINE_MAX = 4096 };

/* One stream. Zero it first, but for the first three. */
struct claims {
        const struct catalogue *catalogue; /* borrowed */
        struct record *record;
        const char *stream; /* "stdout", "stderr", "both" */
        char line[CLAIMS_LINE_MAX];
        size_t len;
        enum { CLAIMS_TEXT, CLAIMS_ESCAPE, CLAIMS_SEQUENCE, CLAIMS_STRING } state;
        size_t found;
};

/* Look at the next bytes; what they complete is written to the record, which is then flushed.
 * Escape sequences of terminals (ECMA-48) are left out; a line too long is cut. */
void claims_feed(struct claims *c, const char *data, size_t len);
/* The end: a line without its end counts too. */
void claims_end(struct claims *c);

#endif
