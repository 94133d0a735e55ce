/* A descriptor that is connecting is inherited over vfork(2) and exec; the new program, which has
 * connected nothing itself, sees it through. */
#include "idiom.h"

#include <sys/wait.h>

int main(int argc, char **argv)
{
        char number[16];
        int fd, status;
        pid_t pid;

        idiom_start(argc, argv);
        if (argc > 4) {
                fd = atoi(argv[4]);
                say("child: poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
                settle(fd);
                return 7;
        }
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd))
                return 0;
        snprintf(number, sizeof number, "%d", fd);
        pid = vfork();
        if (pid == 0) {
                execl("/proc/self/exe", argv[0], argv[1], argv[2], argc > 3 ? argv[3] : "0", number,
                      NULL);
                _exit(126);
        }
        waitpid(pid, &status, 0);
        say("child ended with %d", WEXITSTATUS(status));
        return 0;
}
