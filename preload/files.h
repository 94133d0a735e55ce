/* Failed file calls: decides which failures matter, makes paths absolute, tells the relay. Hooks
 * call the real function first and come here only when it failed, so a success costs one
 * comparison. */
#ifndef PRELOAD_FILES_H
#define PRELOAD_FILES_H

#include "tapline_wire.h"

#include <fcntl.h>
#include <stdbool.h>

/* A call as the program made it. Paths are borrowed; NULL path: the descriptor `dir` itself. */
struct file_call {
        const char *name;
        int dir; /* descriptor that path is relative to, or AT_FDCWD */
        const char *path;
        int dir2;
        const char *path2; /* NULL for calls with one path */
        int flags;         /* open(2) flags */
        enum wire_file_intent intent;
};

/* Report call, which failed with errno. Keeps errno. */
__attribute__((cold, noinline)) void files_failed(const struct file_call *call);

/* The shapes that most hooks need. Each keeps errno and returns nothing. */
__attribute__((cold, noinline)) void files_failed_path(const char *name, int dir, const char *path);
__attribute__((cold, noinline)) void files_failed_two(const char *name, int dir, const char *path,
                                                      int dir2, const char *path2);
__attribute__((cold, noinline)) void files_failed_open(const char *name, int dir, const char *path,
                                                       int flags);
__attribute__((cold, noinline)) void files_failed_fd(const char *name, int fd,
                                                     enum wire_file_intent intent);

#endif
