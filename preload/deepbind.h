/* Libraries that a program loads with RTLD_DEEPBIND, as PHP does with its extensions: the linker
 * binds them and what they bring along to libc first, past the preloaded libraries. */
#ifndef PRELOAD_DEEPBIND_H
#define PRELOAD_DEEPBIND_H

#include <stdbool.h>

/* Will the linker load file for us just as for the caller whose address this is? So it is for a
 * path without $ORIGIN and its kin, and the main program: of any other the linker takes the RPATH
 * into account. */
bool deepbind_may_load(const char *file, const void *caller);

/* dlopen(3), after which what was loaded anew calls our functions where it would have called the
 * ones that ours stand in front of. Returns what the real one does, with its errno and dlerror(3).
 */
void *deepbind_load(const char *file, int mode);

#endif
