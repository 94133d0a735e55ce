/* What can be told of a program before it is started: whether the dynamic linker will load our
 * library into it, and whether the user chose it. Both halves ask: the library for each child,
 * `tapline run` for the command itself. Raw system calls and the stack only; errno is kept. */
#ifndef TAPLINE_PROGRAM_H
#define TAPLINE_PROGRAM_H

#include "tapline_wire.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct program {
        enum wire_uncovered_reason reason; /* WIRE_COVERED also for what cannot be read */
        char path[PATH_MAX]; /* unless covered: absolute path of the file in question */
};

/* Must the program not be given the library at all? Its linker would complain of it, or it would
 * end. The others only make nothing of it, and what they start is covered. */
static inline bool program_is_disturbed(enum wire_uncovered_reason reason)
{
        return reason == WIRE_FOREIGN || reason == WIRE_SANITIZER || reason == WIRE_SECCOMP;
}

/* Is this the file name of the runtime of AddressSanitizer, gcc's or clang's? */
static inline bool program_is_asan(const char *name)
{
        return strncmp(name, "libasan.so", 10) == 0 || strncmp(name, "libclang_rt.asan", 16) == 0;
}

/* Look at path, relative to the directory dir as in openat(2). #! is followed to the interpreter,
 * as the kernel will do. */
void program_look(int dir, const char *path, struct program *out);
/* The same for an open descriptor, as fexecve(3) takes it. */
void program_look_fd(int fd, struct program *out);
/* The same for what execvp(3) finds: in PATH unless name has a slash. */
void program_search(const char *name, struct program *out);

/* Is a program chosen that goes by these names? Each may be NULL, or a path, of which the last
 * component counts. only and except are lists of names separated by commas or blanks, in which *
 * stands for any characters and ? for one; one that is NULL or empty says nothing. */
bool program_is_chosen(const char *only, const char *except, const char *const names[],
                       size_t count);

#endif
