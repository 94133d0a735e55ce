/* sendto(2) with MSG_FASTOPEN, blocking and not, sendmsg(2) with it, and TCP_FASTOPEN_CONNECT. */
#include "idiom.h"

static void receive(int fd)
{
        char data[4096];
        size_t bytes = 0;
        ssize_t n;

        while ((n = recv(fd, data, sizeof data, 0)) > 0)
                bytes += (size_t)n;
        say("received %zu end %s", bytes, outcome(n));
        close(fd);
}

int main(int argc, char **argv)
{
        struct iovec part = {.iov_base = (void *)"give\n", .iov_len = 5};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        int fd, one = 1;
        ssize_t n;

        idiom_start(argc, argv);
        message.msg_name = &target;
        message.msg_namelen = target_len;
        fd = tcp_socket(0);
        n = sendto(fd, "give\n", 5, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&target,
                   target_len);
        say("sendto %zd %s", n, outcome(n));
        if (n > 0)
                receive(fd);
        fd = tcp_socket(0);
        n = sendmsg(fd, &message, MSG_FASTOPEN | MSG_NOSIGNAL);
        say("sendmsg %zd %s", n, outcome(n));
        if (n > 0)
                receive(fd);
        fd = tcp_socket(0);
        setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one);
        n = connect_target(fd);
        say("connect %s", outcome(n));
        if (n == 0)
                exchange(fd);
        fd = tcp_socket(SOCK_NONBLOCK);
        n = sendto(fd, "give\n", 5, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&target,
                   target_len);
        say("sendto %zd %s", n, outcome(n));
        if (n < 0 && errno != EINPROGRESS)
                return 0;
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
        settle(fd);
        return 0;
}
