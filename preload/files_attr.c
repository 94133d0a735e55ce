/* Calls that change the owner, mode or times of a file, or its length, by name or descriptor. */
#include "files.h"
#include "real.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

static int done(int result, const char *name, int dir, const char *path)
{
        if (__builtin_expect(result < 0, 0) && errno != ENOENT)
                files_failed_path(name, dir, path);
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

EXPORT int chown(const char *path, uid_t owner, gid_t group)
{
        return done(REAL(chown)(path, owner, group), "chown", AT_FDCWD, path);
}

EXPORT int lchown(const char *path, uid_t owner, gid_t group)
{
        return done(REAL(lchown)(path, owner, group), "lchown", AT_FDCWD, path);
}

EXPORT int fchown(int fd, uid_t owner, gid_t group)
{
        return done(REAL(fchown)(fd, owner, group), "fchown", fd, NULL);
}

EXPORT int fchownat(int dir, const char *path, uid_t owner, gid_t group, int flags)
{
        return done(REAL(fchownat)(dir, path, owner, group, flags), "fchownat", dir, path);
}

EXPORT int utime(const char *path, const struct utimbuf *times)
{
        return done(REAL(utime)(path, times), "utime", AT_FDCWD, path);
}

EXPORT int utimes(const char *path, const struct timeval times[2])
{
        return done(REAL(utimes)(path, times), "utimes", AT_FDCWD, path);
}

EXPORT int lutimes(const char *path, const struct timeval times[2])
{
        return done(REAL(lutimes)(path, times), "lutimes", AT_FDCWD, path);
}

EXPORT int futimes(int fd, const struct timeval times[2])
{
        return done(REAL(futimes)(fd, times), "futimes", fd, NULL);
}

EXPORT int futimesat(int dir, const char *path, const struct timeval times[2])
{
        return done(REAL(futimesat)(dir, path, times), "futimesat", dir, path);
}
