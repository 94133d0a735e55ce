/* Writing to an open file, error path only: a full disk, an exceeded quota, a broken device. The
 * descriptor's path is looked up after the failure; pipes have none and are skipped, and sockets
 * fail as those of send.c do. */
#include "files.h"
#include "files_pending.h"
#include "real.h"
#include "redirect.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

static inline ssize_t wrote(ssize_t n, const char *name, int fd)
{
        if (__builtin_expect(n < 0, 0) && errno == ECONNRESET)
                redirect_failed(fd);
        else if (__builtin_expect(n < 0, 0))
                files_failed_fd(name, fd, WIRE_INTENT_WRITE);
        return n;
}

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
        return wrote(REAL(write)(fd, data, len), "write", fd);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
        return wrote(REAL(pwrite)(fd, data, len, at), "pwrite", fd);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
        return wrote(REAL(pwrite64)(fd, data, len, at), "pwrite", fd);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
        return wrote(REAL(writev)(fd, parts, count), "writev", fd);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
        return wrote(REAL(pwritev)(fd, parts, count, at), "pwritev", fd);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
        return wrote(REAL(pwritev64)(fd, parts, count, at), "pwritev", fd);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
        return wrote(REAL(pwritev2)(fd, parts, count, at, flags), "pwritev2", fd);
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags)
{
        return wrote(REAL(pwritev64v2)(fd, parts, count, at, flags), "pwritev2", fd);
}

EXPORT int ftruncate(int fd, off_t len)
{
        return (int)wrote(REAL(ftruncate)(fd, len), "ftruncate", fd);
}

EXPORT int ftruncate64(int fd, off64_t len)
{
        return (int)wrote(REAL(ftruncate64)(fd, len), "ftruncate", fd);
}

/* What was written earlier and could not be kept: quotas and network file systems tell it here. */
EXPORT int fsync(int fd)
{
        return (int)wrote(REAL(fsync)(fd), "fsync", fd);
}

EXPORT int fdatasync(int fd)
{
        return (int)wrote(REAL(fdatasync)(fd), "fdatasync", fd);
}

EXPORT int syncfs(int fd)
{
        return (int)wrote(REAL(syncfs)(fd), "syncfs", fd);
}

/* The same; but afterwards the descriptor leads nowhere, and to ask before would cost every call.
 */
EXPORT int close(int fd)
{
        int result = REAL(close)(fd);

        if (__builtin_expect(result == 0, 1))
                files_pending_try();
        else if (errno != EBADF && errno != EINTR)
                files_failed_bare("close");
        return result;
}

/* EOPNOTSUPP: to be done by hand. */
static int preallocated(int result, int fd)
{
        if (__builtin_expect(result < 0, 0) && errno != EOPNOTSUPP)
                files_failed_fd("fallocate", fd, WIRE_INTENT_WRITE);
        return result;
}

EXPORT int fallocate(int fd, int mode, off_t at, off_t len)
{
        return preallocated(REAL(fallocate)(fd, mode, at, len), fd);
}

EXPORT int fallocate64(int fd, int mode, off64_t at, off64_t len)
{
        return preallocated(REAL(fallocate64)(fd, mode, at, len), fd);
}

/* These two return the error instead of setting errno. */
static int allocated(int error, int fd)
{
        int saved = errno;

        if (__builtin_expect(error != 0, 0)) {
                errno = error;
                files_failed_fd("posix_fallocate", fd, WIRE_INTENT_WRITE);
                errno = saved;
        }
        return error;
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
        return allocated(REAL(posix_fallocate)(fd, at, len), fd);
}

EXPORT int posix_fallocate64(int fd, off64_t at, off64_t len)
{
        return allocated(REAL(posix_fallocate64)(fd, at, len), fd);
}

/* EXDEV and EOPNOTSUPP are how these two say "copy by hand": no failure of a write. */
static ssize_t copied(ssize_t n, const char *name, int fd)
{
        if (__builtin_expect(n < 0, 0) && errno != EXDEV && errno != EOPNOTSUPP)
                files_failed_fd(name, fd, WIRE_INTENT_WRITE);
        return n;
}

EXPORT ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
                               unsigned flags)
{
        return copied(REAL(copy_file_range)(in, in_at, out, out_at, len, flags), "copy_file_range",
                      out);
}

EXPORT ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
        return copied(REAL(sendfile)(out, in, at, len), "sendfile", out);
}

EXPORT ssize_t sendfile64(int out, int in, off64_t *at, size_t len)
{
        return copied(REAL(sendfile64)(out, in, at, len), "sendfile", out);
}
