/* Where a report goes that is not for the terminal (--output). */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdio.h>

/* Make path anew for writing, as fopen(path, "w") does, but not through a symbolic link or a second
 * name that somebody else may have put there: a link has to be the user's own or root's
 * (/dev/stdout), a file has to have one name. Returns NULL with errno: EPERM for those. */
FILE *output_open(const char *path);

#endif
