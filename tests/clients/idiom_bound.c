/* Bound to an address, blocking; then to an address and a port of its own, non-blocking. The origin
 * tells whom it saw. */
#include "idiom.h"

static int bound_socket(int flags, uint16_t port)
{
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(port)};
        int fd = tcp_socket(flags), one = 1;

        from.sin_addr.s_addr = htonl(0x7f000002);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        say("bind %s", outcome(bind(fd, (struct sockaddr *)&from, sizeof from)));
        return fd;
}

static uint16_t free_port(void)
{
        struct sockaddr_in own;
        socklen_t len = sizeof own;
        int fd = bound_socket(0, 0);

        getsockname(fd, (struct sockaddr *)&own, &len);
        close(fd);
        return ntohs(own.sin_port);
}

static void say_own(int fd, uint16_t port)
{
        struct sockaddr_in own;
        socklen_t len = sizeof own;

        getsockname(fd, (struct sockaddr *)&own, &len);
        say("own %s port %s", inet_ntoa(own.sin_addr),
            port == 0                     ? "any"
            : ntohs(own.sin_port) == port ? "as bound"
                                          : "ANOTHER");
}

int main(int argc, char **argv)
{
        uint16_t port;
        int fd, result;

        idiom_start(argc, argv);
        fd = bound_socket(0, 0);
        result = connect_target(fd);
        say("connect %s", outcome(result));
        if (result == 0) {
                say_own(fd, 0);
                exchange(fd);
        }
        close(fd);
        port = free_port();
        fd = bound_socket(SOCK_NONBLOCK, port);
        if (!begin_nonblocking(fd))
                return 0;
        say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
        say_own(fd, port);
        settle(fd);
        return 0;
}
