/* close_range(2) over everything else while a connect() is under way. */
#include "idiom.h"

#include <sys/syscall.h>

int main(int argc, char **argv)
{
        int fd;

        idiom_start(argc, argv);
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd))
                return 0;
        say("close_range %s", outcome(syscall(SYS_close_range, fd + 1, ~0U, 0)));
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
        settle(fd);
        return 0;
}
