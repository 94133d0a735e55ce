/* The timeline as HTML: for each process a table of what it did, in order of time, with a bar for
 * when and how long. Used by report_html.c. */
#ifndef EXPLAIN_HTML_ROWS_H
#define EXPLAIN_HTML_ROWS_H

#include "explain/timeline.h"

enum { HTML_ROWS_MAX = 3000 }; /* a browser stays quick, and a person reads no more */

/* Write the section. If there are more than HTML_ROWS_MAX rows, what failed comes in first, then
 * what was earliest, and the page says so. Returns 0 or -ENOMEM. */
int html_rows(const struct timeline *timeline, FILE *out);

/* The fields of an event as a list of definitions, the common ones left out. */
void html_fields(const json_t *event, FILE *out);

#endif
