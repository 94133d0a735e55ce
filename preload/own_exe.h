/* Which file this program is. Called by the constructor. */
#ifndef PRELOAD_OWN_EXE_H
#define PRELOAD_OWN_EXE_H

#include <stdbool.h>
#include <stddef.h>

/* Write what /proc/self/exe says, NUL-terminated and cut to cap (at least 1). Returns its length, 0
 * if it is not known. */
size_t own_exe(int argc, char **argv, char *out, size_t cap);

/* Of what is resolved, and on the way: longer ones are /proc's to tell. */
enum { OWN_EXE_MAX = 512 };

/* The absolute path without symbolic links, to out (OWN_EXE_MAX bytes), as realpath(3) but with
 * system calls only. Returns false if it cannot be told. */
bool own_exe_resolve(const char *path, char *out);

#endif
