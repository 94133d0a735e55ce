/* A pair of TCP sockets; see pair.h. The listener stays open: one for each thread. Anybody may
 * connect to it, but who is not the one that we have just connected is sent away. */
#include "net/pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STRANGERS_MAX = 64, WAIT_MS = 100 };

static _Thread_local int listener = -1;

static int open_listener(void)
{
        struct sockaddr_in here = {.sin_family = AF_INET};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (fd < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 128) < 0) {
                int error = errno;

                close(fd);
                return -error;
        }
        listener = fd;
        return 0;
}

void pair_forget(void)
{
        if (listener >= 0)
                close(listener);
        listener = -1;
}

static bool is_same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* The connection that came from the address mine. Over loopback it is nearly always there once
 * connect(2) has returned. Returns the descriptor or -errno. */
static int accept_from(const struct sockaddr_in *mine)
{
        struct pollfd wait = {.fd = listener, .events = POLLIN};

        for (int i = 0; i < STRANGERS_MAX; i++) {
                struct sockaddr_in from;
                socklen_t len = sizeof from;
                int fd = accept4(listener, (struct sockaddr *)&from, &len,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd < 0 && errno == EAGAIN && poll(&wait, 1, WAIT_MS) > 0)
                        continue;
                if (fd < 0)
                        return -errno;
                if (is_same(&from, mine))
                        return fd;
                close(fd);
        }
        return -ECONNABORTED;
}

static int connect_own(int fd, struct sockaddr_in *mine)
{
        struct sockaddr_in there;
        socklen_t len = sizeof there;

        if (getsockname(listener, (struct sockaddr *)&there, &len) < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&there, sizeof there) < 0 && errno != EINPROGRESS)
                return -errno;
        len = sizeof *mine;
        return getsockname(fd, (struct sockaddr *)mine, &len) < 0 ? -errno : 0;
}

int pair_open(int *one, int *other)
{
        struct sockaddr_in mine;
        int on = 1, error = listener < 0 ? open_listener() : 0;

        if (error < 0)
                return error;
        *other = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (*other < 0)
                return -errno;
        error = connect_own(*other, &mine);
        *one = error == 0 ? accept_from(&mine) : error;
        if (*one < 0) {
                close(*other);
                return *one;
        }
        setsockopt(*one, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(*other, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return 0;
}
