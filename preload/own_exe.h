/* Which file this program is. Called by the constructor. */
#ifndef PRELOAD_OWN_EXE_H
#define PRELOAD_OWN_EXE_H

#include <stddef.h>

/* Write what /proc/self/exe says, NUL-terminated and cut to cap (at least 1). Returns its length, 0
 * if it is not known. */
size_t own_exe(int argc, char **argv, char *out, size_t cap);

#endif
