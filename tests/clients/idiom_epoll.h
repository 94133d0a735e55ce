/* Non-blocking, waiting with epoll(7): registered before or after connect(), level or edge. Used by
 * the idiom_epoll_*.c programs. */
#ifndef IDIOM_EPOLL_H
#define IDIOM_EPOLL_H

#include "idiom.h"

#include <sys/epoll.h>

static void add(int epoll, int fd, unsigned how)
{
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | how, .data.fd = fd};

        say("register %s", outcome(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)));
}

static int run_epoll(int argc, char **argv, bool before, unsigned how)
{
        struct epoll_event event = {.events = 0};
        int epoll = epoll_create1(0), fd, n;

        idiom_start(argc, argv);
        fd = tcp_socket(SOCK_NONBLOCK);
        if (before) {
                add(epoll, fd, how);
                n = epoll_wait(epoll, &event, 1, 0);
                say("unconnected %d %s", n, event_names(event.events));
        }
        if (!begin_nonblocking(fd))
                return 0;
        if (!before)
                add(epoll, fd, how);
        event.events = 0;
        n = epoll_wait(epoll, &event, 1, WAIT_MS);
        say("event %d %s", n, event_names(event.events));
        event.events = 0;
        n = epoll_wait(epoll, &event, 1, 50);
        say("and %d %s", n, event_names(event.events));
        settle(fd);
        event.events = 0;
        n = epoll_wait(epoll, &event, 1, 50);
        say("at the end %d %s", n, event_names(event.events));
        return 0;
}

#endif
