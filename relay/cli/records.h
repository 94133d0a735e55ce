/* What the subcommands that read records share: reading one, the catalogue to explain it with, and
 * the place where what is made of it goes. */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include "cli/options.h"
#include "explain/explain.h"

#include <stdio.h>

/* As record_read(); says on standard error what is wrong. */
int records_read(const char *path, struct record_events *events);

/* The catalogue of package managers, with the user's additions; NULL, and a line on standard error,
 * if it cannot be had: they are not recognised then. The caller frees it. */
struct catalogue *records_catalogue(void);

/* Open --output, or give standard output. NULL with errno. */
FILE *records_output(const struct options *o);

/* Write out and close. result is 0 or the first -errno so far; returns it, or that of closing,
 * after a line on standard error. out may be NULL. */
int records_finish(FILE *out, const struct options *o, int result);

#endif
