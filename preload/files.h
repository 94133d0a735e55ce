/* Failed file calls: decides which failures matter, makes paths absolute, tells the relay. Hooks
 * call the real function first and come here only when it failed, so a success costs one
 * comparison. */
#ifndef PRELOAD_FILES_H
#define PRELOAD_FILES_H

#include "tapline_wire.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

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
/* A call that has no path, or whose descriptor is gone. */
__attribute__((cold, noinline)) void files_failed_bare(const char *name);

/* Write the path behind fd to out, with its NUL. Returns the length, or 0 if it is no file that
 * programs keep things in. */
size_t files_fd_path(int fd, char *out, size_t cap);

/* A program at path, relative to dir, could not be executed: reported if the file itself is there,
 * since a search through PATH fails many times over. Writes to the stack only. */
__attribute__((cold, noinline)) void files_failed_exec(const char *name, int dir, const char *path);

/* The same for a name that execvp(3) looks for in PATH. */
__attribute__((cold, noinline)) void files_failed_search(const char *name, const char *file);

/* Is path a name in the directory that TMPDIR tells? */
bool files_is_temporary(const char *path);

/* lstat, relative to dir. Returns the type bits of the mode, 0 if there is nothing. */
mode_t files_type_at(int dir, const char *path);

/* A lock on fd that somebody else holds: state says how far the program has got. waited_ms counts
 * for all but the first two. Keeps errno. */
__attribute__((cold, noinline)) void files_lock(const char *name, int fd,
                                                enum wire_lock_state state, int64_t waited_ms);

/* True if errno says that a write was ended by what is or is not at path, rather than that a
 * probe was answered: the directory of a new file is missing, a file stands where a directory is to
 * be made, a lock file of somebody else's is there. path2 may be NULL. */
__attribute__((cold, noinline)) bool files_ends_write(const struct file_call *call);

#endif
