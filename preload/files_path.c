/* Calls that change a directory or a file's attributes by name. */
#include "files.h"
#include "real.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ENOENT: nothing to remove, or a parent that will be made next ("mkdir -p" tries the last first).
 */
static int done(int result, const char *name, int dir, const char *path)
{
        if (__builtin_expect(result < 0, 0) && errno != ENOENT)
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

/* Nobody makes the directory for temporary files next. */
static int made(int result, const char *name, int dir, const char *path)
{
        if (__builtin_expect(result < 0, 0) && (errno != ENOENT || files_is_temporary(path)))
                files_failed_path(name, dir, path);
        return result;
}

EXPORT int mkdir(const char *path, mode_t mode)
{
        return made(REAL(mkdir)(path, mode), "mkdir", AT_FDCWD, path);
}

EXPORT int mkdirat(int dir, const char *path, mode_t mode)
{
        return made(REAL(mkdirat)(dir, path, mode), "mkdirat", dir, path);
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
static int made_link(int result, const char *name, int dir, const char *path)
{
        if (__builtin_expect(result < 0, 0))
                files_failed_path(name, dir, path);
        return result;
}

EXPORT int symlink(const char *target, const char *path)
{
        return made_link(REAL(symlink)(target, path), "symlink", AT_FDCWD, path);
}

EXPORT int symlinkat(const char *target, int dir, const char *path)
{
        return made_link(REAL(symlinkat)(target, dir, path), "symlinkat", dir, path);
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

EXPORT int mkfifo(const char *path, mode_t mode)
{
        return done(REAL(mkfifo)(path, mode), "mkfifo", AT_FDCWD, path);
}

EXPORT int mkfifoat(int dir, const char *path, mode_t mode)
{
        return done(REAL(mkfifoat)(dir, path, mode), "mkfifoat", dir, path);
}

EXPORT int mknod(const char *path, mode_t mode, dev_t device)
{
        return done(REAL(mknod)(path, mode, device), "mknod", AT_FDCWD, path);
}

EXPORT int mknodat(int dir, const char *path, mode_t mode, dev_t device)
{
        return done(REAL(mknodat)(dir, path, mode, device), "mknodat", dir, path);
}

/* A question, but its answer stops a program as surely as a failed write does. */
static int asked(int result, const char *name, int dir, const char *path, int mode)
{
        if (__builtin_expect(result < 0, 0) && (mode & W_OK) != 0 && errno != ENOENT)
                files_failed_path(name, dir, path);
        return result;
}

EXPORT int access(const char *path, int mode)
{
        return asked(REAL(access)(path, mode), "access", AT_FDCWD, path, mode);
}

EXPORT int faccessat(int dir, const char *path, int mode, int flags)
{
        return asked(REAL(faccessat)(dir, path, mode, flags), "faccessat", dir, path, mode);
}

EXPORT int eaccess(const char *path, int mode)
{
        return asked(REAL(eaccess)(path, mode), "eaccess", AT_FDCWD, path, mode);
}

EXPORT int euidaccess(const char *path, int mode)
{
        return asked(REAL(euidaccess)(path, mode), "euidaccess", AT_FDCWD, path, mode);
}
