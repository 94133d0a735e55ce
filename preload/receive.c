/* recv(2), read(2) and their kin, error path only: a connection that failed while it was being made
 * shows the relay's reset where the real one would show the upstream's errno. */
#include "real.h"
#include "redirect.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What programs built with _FORTIFY_SOURCE call; no header declares them. */
EXPORT ssize_t __read_chk(int fd, void *data, size_t len, size_t cap);
EXPORT ssize_t __recv_chk(int fd, void *data, size_t len, size_t cap, int flags);
EXPORT ssize_t __recvfrom_chk(int fd, void *data, size_t len, size_t cap, int flags,
                              struct sockaddr *from, socklen_t *from_len);

static inline ssize_t received(ssize_t n, int fd)
{
        if (__builtin_expect(n < 0, 0) && errno == ECONNRESET)
                redirect_failed(fd);
        return n;
}

EXPORT ssize_t read(int fd, void *data, size_t len)
{
        return received(REAL(read)(fd, data, len), fd);
}

EXPORT ssize_t __read_chk(int fd, void *data, size_t len, size_t cap)
{
        return received(REAL(__read_chk)(fd, data, len, cap), fd);
}

EXPORT ssize_t readv(int fd, const struct iovec *parts, int count)
{
        return received(REAL(readv)(fd, parts, count), fd);
}

EXPORT ssize_t recv(int fd, void *data, size_t len, int flags)
{
        return received(REAL(recv)(fd, data, len, flags), fd);
}

EXPORT ssize_t __recv_chk(int fd, void *data, size_t len, size_t cap, int flags)
{
        return received(REAL(__recv_chk)(fd, data, len, cap, flags), fd);
}

EXPORT ssize_t recvfrom(int fd, void *restrict data, size_t len, int flags,
                        struct sockaddr *restrict from, socklen_t *restrict from_len)
{
        return received(REAL(recvfrom)(fd, data, len, flags, from, from_len), fd);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *data, size_t len, size_t cap, int flags,
                              struct sockaddr *from, socklen_t *from_len)
{
        return received(REAL(__recvfrom_chk)(fd, data, len, cap, flags, from, from_len), fd);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
        return received(REAL(recvmsg)(fd, message, flags), fd);
}
