/* The parent begins to connect, a child that it forks meanwhile sees it through; the parent has
 * closed its copy. */
#include "idiom.h"

#include <sys/wait.h>

int main(int argc, char **argv)
{
        int fd, status;
        pid_t pid;

        idiom_start(argc, argv);
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd))
                return 0;
        pid = fork();
        if (pid == 0) {
                say("child: poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
                settle(fd);
                _exit(7);
        }
        close(fd);
        waitpid(pid, &status, 0);
        say("child ended with %d", WEXITSTATUS(status));
        return 0;
}
