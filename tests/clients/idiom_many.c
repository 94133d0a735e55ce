/* Two thousand descriptors, all connecting at once in one epoll loop, most of them above 1023. */
#include "idiom.h"

#include <sys/epoll.h>
#include <sys/resource.h>

enum { COUNT = 2000 };

static void raise_limit(void)
{
        struct rlimit limit;

        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
        struct epoll_event event = {.events = EPOLLOUT};
        int epoll, begun = 0, open = 0, good = 0, right = 0, failed[4096] = {0};

        idiom_start(argc, argv);
        raise_limit();
        epoll = epoll_create1(0);
        for (int i = 0; i < COUNT; i++) {
                int fd = tcp_socket(SOCK_NONBLOCK);

                if (connect_target(fd) < 0 && errno != EINPROGRESS) {
                        failed[errno & 4095]++;
                        continue;
                }
                event.data.fd = fd;
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                begun++;
        }
        open = begun;
        while (open > 0 && epoll_wait(epoll, &event, 1, WAIT_MS) == 1) {
                int error = so_error(event.data.fd);

                if (error == 0)
                        good++, right += strcmp(peer_of(event.data.fd), "the target") == 0;
                else
                        failed[error & 4095]++;
                epoll_ctl(epoll, EPOLL_CTL_DEL, event.data.fd, NULL);
                open--;
        }
        printf("begun %d unfinished %d connected %d right %d\n", begun, open, good, right);
        for (int i = 0; i < 4096; i++)
                if (failed[i] > 0)
                        printf("%s %d\n", strerrorname_np(i), failed[i]);
        return 0;
}
