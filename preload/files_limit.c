/* Calls that make descriptors and have no path: they are here for EMFILE and ENFILE alone. Those
 * with a path are in files_open.c, sockets' other failures in connect.c. */
#include "files.h"
#include "real.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int made(int fd, const char *name)
{
        if (__builtin_expect(fd < 0, 0) && (errno == EMFILE || errno == ENFILE))
                files_failed_bare(name);
        return fd;
}

EXPORT int socket(int family, int type, int protocol)
{
        return made(REAL(socket)(family, type, protocol), "socket");
}

EXPORT int socketpair(int family, int type, int protocol, int fds[2])
{
        return made(REAL(socketpair)(family, type, protocol, fds), "socketpair");
}

EXPORT int accept(int fd, struct sockaddr *restrict from, socklen_t *restrict len)
{
        return made(REAL(accept)(fd, from, len), "accept");
}

EXPORT int accept4(int fd, struct sockaddr *restrict from, socklen_t *restrict len, int flags)
{
        return made(REAL(accept4)(fd, from, len, flags), "accept4");
}

EXPORT int pipe(int fds[2])
{
        return made(REAL(pipe)(fds), "pipe");
}

EXPORT int pipe2(int fds[2], int flags)
{
        return made(REAL(pipe2)(fds, flags), "pipe2");
}

EXPORT int dup(int fd)
{
        return made(REAL(dup)(fd), "dup");
}

EXPORT int epoll_create1(int flags)
{
        return made(REAL(epoll_create1)(flags), "epoll_create1");
}

EXPORT DIR *opendir(const char *path)
{
        DIR *list = REAL(opendir)(path);

        if (__builtin_expect(list == NULL, 0) && (errno == EMFILE || errno == ENFILE))
                files_failed_open("opendir", AT_FDCWD, path, O_RDONLY);
        return list;
}
