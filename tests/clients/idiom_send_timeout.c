/* SO_SNDTIMEO: connect() gives up waiting, the connection goes on. */
#include "idiom.h"

#include <sys/time.h>

int main(int argc, char **argv)
{
        struct timeval limit = {.tv_usec = 500000}, now = {0, 0};
        socklen_t len = sizeof now;
        int fd, result;

        idiom_start(argc, argv);
        fd = tcp_socket(0);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        result = connect_target(fd);
        say("connect %s", outcome(result));
        getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &now, &len);
        say("SO_SNDTIMEO %ld.%06ld", (long)now.tv_sec, (long)now.tv_usec);
        if (result < 0 && errno != EINPROGRESS)
                return 0;
        say("connect %s", outcome(connect_target(fd)));
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
        settle(fd);
        return 0;
}
