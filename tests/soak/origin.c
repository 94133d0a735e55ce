/* The origin of the soak tests: echoes to every connection until that ends, and is ended by a
 * signal. Prints its port. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 512 };

static int epoll_fd;

struct echo {
        int fd;
        size_t len, sent;
        bool ended;
        char data[16384];
};

/* Returns false when the connection is over. */
static bool echo_some(struct echo *e)
{
        for (;;) {
                while (e->sent < e->len) {
                        ssize_t n = send(e->fd, e->data + e->sent, e->len - e->sent, MSG_NOSIGNAL);

                        if (n < 0)
                                return errno == EAGAIN;
                        e->sent += (size_t)n;
                }
                if (e->ended)
                        return false;
                e->sent = e->len = 0;
                ssize_t n = recv(e->fd, e->data, sizeof e->data, 0);

                if (n < 0)
                        return errno == EAGAIN;
                e->ended = n == 0;
                e->len = (size_t)n;
        }
}

static void accept_all(int listener)
{
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
        int fd, one = 1;

        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                struct echo *e = calloc(1, sizeof *e);

                if (e == NULL) {
                        close(fd);
                        continue;
                }
                e->fd = fd;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.ptr = e;
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
        }
}

static void raise_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
        struct sockaddr_in at = {.sin_family = AF_INET};
        struct epoll_event events[BATCH], event = {.events = EPOLLIN};
        socklen_t len = sizeof at;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        signal(SIGPIPE, SIG_IGN);
        raise_limit();
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4096) < 0 ||
            getsockname(listener, (struct sockaddr *)&at, &len) < 0 ||
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0)
                return 1;
        printf("%u\n", ntohs(at.sin_port));
        fflush(stdout);
        for (;;) {
                int n = epoll_wait(epoll_fd, events, BATCH, -1);

                for (int i = 0; i < n; i++) {
                        struct echo *e = events[i].data.ptr;

                        if (e == NULL) {
                                accept_all(listener);
                        } else if (!echo_some(e)) {
                                close(e->fd);
                                free(e);
                        }
                }
        }
}
