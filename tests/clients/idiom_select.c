/* Non-blocking, waiting with select(2). */
#include "idiom.h"

#include <sys/select.h>

int main(int argc, char **argv)
{
        struct timeval limit = {.tv_sec = WAIT_MS / 1000};
        fd_set in, out, except;
        int fd, n;

        idiom_start(argc, argv);
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd))
                return 0;
        FD_ZERO(&in);
        FD_SET(fd, &in);
        out = except = in;
        n = select(fd + 1, &in, &out, &except, &limit);
        say("select %d in %d out %d except %d", n, FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &out) != 0,
            FD_ISSET(fd, &except) != 0);
        settle(fd);
        return 0;
}
