/* IPv6 only: a descriptor that cannot reach a mapped address. Blocking, then non-blocking. */
#include "idiom.h"

int main(int argc, char **argv)
{
        int fd, one = 1, result;

        idiom_start(argc, argv);
        fd = tcp_socket(0);
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        result = connect_target(fd);
        say("connect %s", outcome(result));
        say("peer %s", peer_of(fd));
        if (result == 0) {
                say("own %s", own_of(fd));
                exchange(fd);
        }
        close(fd);
        fd = tcp_socket(SOCK_NONBLOCK);
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        if (!begin_nonblocking(fd))
                return 0;
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
        settle(fd);
        return 0;
}
