/* Text into HTML: escaping, and the few forms in which numbers are shown. Everything from a record
 * goes through html_text, whatever it is: a record is what servers and programs have said. Used by
 * report_html*.c. */
#ifndef EXPLAIN_HTML_H
#define EXPLAIN_HTML_H

#include <stdint.h>
#include <stdio.h>

/* Print text as character data or as the value of a quoted attribute. Characters that a page may
 * not hold, and those that turn the direction of what is around them, become U+FFFD. NULL prints
 * nothing. */
void html_text(FILE *out, const char *text);

/* "< 0.1 ms", "1.2 ms", "3.4 s", "2 min 5 s"; what is negative prints nothing. */
void html_duration(FILE *out, int64_t us);

/* The source expression 'sha256-...' by which a Content-Security-Policy lets just this inline text
 * act (CSP 3 section 2.3.1). */
void html_hash(FILE *out, const char *text, size_t len);

#endif
