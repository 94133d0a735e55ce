/* sendto(2) with MSG_FASTOPEN, blocking and not, sendmsg(2) and sendmmsg(2) with it, and
 * TCP_FASTOPEN_CONNECT. Without MSG_FASTOPEN an address connects nothing. */
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

/* One message in two parts, each with the address. */
static void send_two(const struct msghdr *message)
{
        struct iovec parts[2] = {{.iov_base = (void *)"gi", .iov_len = 2},
                                 {.iov_base = (void *)"ve\n", .iov_len = 3}};
        struct mmsghdr both[2] = {{.msg_hdr = *message}, {.msg_hdr = *message}};
        int fd = tcp_socket(0), n;

        for (int i = 0; i < 2; i++)
                both[i].msg_hdr.msg_iov = &parts[i];
        n = sendmmsg(fd, both, 2, MSG_FASTOPEN | MSG_NOSIGNAL);
        say("sendmmsg %d %s, %u and %u bytes", n, outcome(n), both[0].msg_len, both[1].msg_len);
        if (n == 1)
                say("the rest %s", outcome(send(fd, "ve\n", 3, MSG_NOSIGNAL)));
        if (n > 0)
                receive(fd);
}

static void send_without(const struct msghdr *message)
{
        struct mmsghdr one = {.msg_hdr = *message};
        int fd = tcp_socket(0);

        say("unconnected: sendto %s",
            outcome(sendto(fd, "x", 1, MSG_NOSIGNAL, message->msg_name, message->msg_namelen)));
        say("unconnected: sendmsg %s", outcome(sendmsg(fd, message, MSG_NOSIGNAL)));
        say("unconnected: sendmmsg %s", outcome(sendmmsg(fd, &one, 1, MSG_NOSIGNAL)));
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
        send_without(&message);
        send_two(&message);
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
