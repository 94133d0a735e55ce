/* Non-blocking, waiting with poll(2). */
#include "idiom.h"

int main(int argc, char **argv)
{
        int fd;

        idiom_start(argc, argv);
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd)) {
                aftermath(fd);
                return 0;
        }
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT | POLLRDHUP, WAIT_MS)));
        settle(fd);
        return 0;
}
