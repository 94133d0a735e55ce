/* A library (deep.so) that deepbind.c loads with RTLD_DEEPBIND. Its calls of connect() and mkdir()
 * are bound to libc first; unlink() is its own, and has to stay that. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int deep_connect(const char *host, const char *port);
int deep_mkdir(const char *path);
int deep_unlink(const char *path);
int unlink(const char *path);

int deep_connect(const char *host, const char *port)
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        inet_pton(AF_INET, host, &to.sin_addr);
        return connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : errno;
}

int deep_mkdir(const char *path)
{
        int (*volatile call)(const char *, mode_t) = mkdir; /* a slot for data, not one for calls */

        return call(path, 0777) == 0 ? 0 : errno;
}

int unlink(const char *path)
{
        return path[0];
}

int deep_unlink(const char *path)
{
        return unlink(path);
}
