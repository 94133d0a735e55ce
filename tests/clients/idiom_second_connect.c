/* connect() called again and again: while it goes on, when it is done, and after that; also with
 * AF_UNSPEC. */
#include "idiom.h"

int main(int argc, char **argv)
{
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        struct timespec moment = {.tv_nsec = 300000000};
        int fd;

        idiom_start(argc, argv);
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd))
                return 0;
        nanosleep(&moment, NULL);
        say("send %s", outcome(send(fd, "g", 1, MSG_NOSIGNAL)));
        say("peer %s", peer_of(fd));
        say("connect %s", outcome(connect_target(fd)));
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
        say("connect %s", outcome(connect_target(fd)));
        say("peer %s", peer_of(fd));
        nanosleep(&moment, NULL); /* a failure has begun to connect anew */
        say("disconnect %s", outcome(connect(fd, &none, sizeof none)));
        say("SO_ERROR %s", error_name(so_error(fd)));
        say("peer %s", peer_of(fd));
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, 0)));
        if (!begin_nonblocking(fd))
                return 0;
        fcntl(fd, F_SETFL, 0);
        say("connect, blocking now: %s", outcome(connect_target(fd)));
        say("peer %s", peer_of(fd));
        return 0;
}
