/* What is left to do when no relay answers: append to the file of TAPLINE_RECORD, or, for a bare
 * LD_PRELOAD without one, say each cause once on standard error. */
#ifndef PRELOAD_FALLBACK_H
#define PRELOAD_FALLBACK_H

#include "tapline_wire.h"

#include <fcntl.h>

/* How that file is opened: without O_NONBLOCK a FIFO in its place would hold the program. */
#define FALLBACK_OPEN (O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

/* paths is NUL-terminated. Keeps errno. Raw system calls only. */
void fallback_file(const struct wire_file *file, const char *paths);

/* Remember what standard error is, the only place where a program is told something. */
void fallback_init(void);

#endif
