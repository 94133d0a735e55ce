/* A blocking connect(), what is left after a failure, and a second attempt on the same descriptor.
 */
#include "idiom.h"

int main(int argc, char **argv)
{
        int fd, result;

        idiom_start(argc, argv);
        fd = tcp_socket(0);
        result = connect_target(fd);
        say("connect %s", outcome(result));
        say("peer %s", peer_of(fd));
        if (result == 0) {
                say("own %s", own_of(fd));
                exchange(fd);
                return 0;
        }
        say("SO_ERROR %s", error_name(so_error(fd)));
        aftermath(fd);
        say("connect again %s", outcome(connect_target(fd)));
        return 0;
}
