/* An IPv6 descriptor to a v4-mapped address, as Java makes them. */
#include "idiom.h"

int main(int argc, char **argv)
{
        struct sockaddr_in v4;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target;
        int fd;

        idiom_start(argc, argv);
        memcpy(&v4, &target, sizeof v4);
        memset(&target, 0, sizeof target);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = v4.sin_port;
        v6->sin6_addr.s6_addr[10] = v6->sin6_addr.s6_addr[11] = 0xff;
        memcpy(v6->sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
        target_len = sizeof *v6;
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd))
                return 0;
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
        settle(fd);
        return 0;
}
