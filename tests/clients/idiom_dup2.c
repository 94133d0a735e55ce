/* The descriptor is duplicated while it connects, the first one closed, and another made in its
 * place. */
#include "idiom.h"

int main(int argc, char **argv)
{
        int fd, other;

        idiom_start(argc, argv);
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd))
                return 0;
        other = dup2(fd, 900);
        close(fd);
        say("reused %d", tcp_socket(0) == fd);
        say("the new one: peer %s", peer_of(fd));
        say("poll %s", event_names(poll_for(other, POLLIN | POLLOUT, WAIT_MS)));
        settle(other);
        return 0;
}
