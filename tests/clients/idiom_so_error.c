/* The failure is asked for in every order: SO_ERROR, connect(), send(), recv(), on a descriptor
 * each. */
#include "idiom.h"

static int finished(void)
{
        int fd = tcp_socket(SOCK_NONBLOCK);

        if (connect_target(fd) < 0 && errno != EINPROGRESS) {
                say("connect %s", outcome(-1));
                exit(0);
        }
        return fd;
}

int main(int argc, char **argv)
{
        int fds[6];
        char byte;

        idiom_start(argc, argv);
        for (int i = 0; i < 6; i++)
                fds[i] = finished();
        for (int i = 0; i < 6; i++)
                say("%d: poll %s", i, event_names(poll_for(fds[i], POLLIN | POLLOUT, WAIT_MS)));
        say("SO_ERROR %s", error_name(so_error(fds[0])));
        say("connect %s", outcome(connect_target(fds[0])));
        say("connect %s", outcome(connect_target(fds[1])));
        say("SO_ERROR %s", error_name(so_error(fds[1])));
        say("send %s", outcome(send(fds[2], "x", 1, MSG_NOSIGNAL)));
        say("SO_ERROR %s", error_name(so_error(fds[2])));
        say("recv %s", outcome(recv(fds[3], &byte, 1, 0)));
        say("recv %s", outcome(recv(fds[3], &byte, 1, 0)));
        say("write %s", outcome(write(fds[4], "x", 1)));
        say("read %s", outcome(read(fds[5], &byte, 1)));
        return 0;
}
