/* Calls that change a directory or a file's attributes by name. */
#include "files.h"
#include "real.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int done(int result, const char *name, int dir, const char *path)
{
        if (__builtin_expect(result < 0, 0))
                files_failed_path(name, dir, path);
        return result;
}

static int done_two(int result, const char *name, int dir, const char *path, int dir2,
                    const char *path2)
{
        if (__builtin_expect(result < 0, 0))
                files_failed_two(name, dir, path, dir2, path2);
        return result;
}

EXPORT int mkdir(const char *path, mode_t mode)
{
        return done(REAL(mkdir)(path, mode), "mkdir", AT_FDCWD, path);
}

EXPORT int mkdirat(int dir, const char *path, mode_t mode)
{
        return done(REAL(mkdirat)(dir, path, mode), "mkdirat", dir, path);
}

EXPORT int rmdir(const char *path)
{
        return done(REAL(rmdir)(path), "rmdir", AT_FDCWD, path);
}

EXPORT int rename(const char *from, const char *to)
{
        return done_two(REAL(rename)(from, to), "rename", AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
        return done_two(REAL(renameat)(from_dir, from, to_dir, to), "renameat", from_dir, from,
                        to_dir, to);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
        return done_two(REAL(renameat2)(from_dir, from, to_dir, to, flags), "renameat2", from_dir,
                        from, to_dir, to);
}

EXPORT int link(const char *from, const char *to)
{
        return done_two(REAL(link)(from, to), "link", AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
        return done_two(REAL(linkat)(from_dir, from, to_dir, to, flags), "linkat", from_dir, from,
                        to_dir, to);
}

/* The target of a symbolic link is only text: the failing path is the link's. */
EXPORT int symlink(const char *target, const char *path)
{
        return done(REAL(symlink)(target, path), "symlink", AT_FDCWD, path);
}

EXPORT int symlinkat(const char *target, int dir, const char *path)
{
        return done(REAL(symlinkat)(target, dir, path), "symlinkat", dir, path);
}

EXPORT int unlink(const char *path)
{
        return done(REAL(unlink)(path), "unlink", AT_FDCWD, path);
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
        return done(REAL(unlinkat)(dir, path, flags), "unlinkat", dir, path);
}

EXPORT int remove(const char *path)
{
        return done(REAL(remove)(path), "remove", AT_FDCWD, path);
}

/* A question, but its answer stops a program as surely as a failed write does. */
EXPORT int access(const char *path, int mode)
{
        int result = REAL(access)(path, mode);

        if (__builtin_expect(result < 0, 0) && (mode & W_OK) != 0)
                files_failed_path("access", AT_FDCWD, path);
        return result;
}

EXPORT int faccessat(int dir, const char *path, int mode, int flags)
{
        int result = REAL(faccessat)(dir, path, mode, flags);

        if (__builtin_expect(result < 0, 0) && (mode & W_OK) != 0)
                files_failed_path("faccessat", dir, path);
        return result;
}

EXPORT int chmod(const char *path, mode_t mode)
{
        return done(REAL(chmod)(path, mode), "chmod", AT_FDCWD, path);
}

EXPORT int fchmod(int fd, mode_t mode)
{
        return done(REAL(fchmod)(fd, mode), "fchmod", fd, NULL);
}

EXPORT int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
        return done(REAL(fchmodat)(dir, path, mode, flags), "fchmodat", dir, path);
}

EXPORT int utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
        return done(REAL(utimensat)(dir, path, times, flags), "utimensat", dir, path);
}

EXPORT int futimens(int fd, const struct timespec times[2])
{
        return done(REAL(futimens)(fd, times), "futimens", fd, NULL);
}

EXPORT int truncate(const char *path, off_t len)
{
        return done(REAL(truncate)(path, len), "truncate", AT_FDCWD, path);
}

EXPORT int truncate64(const char *path, off64_t len)
{
        return done(REAL(truncate64)(path, len), "truncate", AT_FDCWD, path);
}
