/* closefrom(3) before and after connecting: a program that tidies up. */
#include "idiom.h"

int main(int argc, char **argv)
{
        int fd, result;

        idiom_start(argc, argv);
        closefrom(3);
        fd = tcp_socket(0);
        say("descriptor %d", fd);
        result = connect_target(fd);
        say("connect %s", outcome(result));
        say("next descriptor %d", dup(fd));
        closefrom(fd + 1);
        if (result == 0)
                exchange(fd);
        else
                aftermath(fd);
        return 0;
}
