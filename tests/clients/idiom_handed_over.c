/* A connecting descriptor is sent to another process over SCM_RIGHTS; that one has connected
 * nothing itself. */
#include "idiom.h"

#include <sys/wait.h>

union control {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
};

static void hand_over(int through, int fd)
{
        union control control = {.head = {.cmsg_len = CMSG_LEN(sizeof fd),
                                          .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS}};
        struct iovec part = {.iov_base = (void *)"x", .iov_len = 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control};

        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        if (sendmsg(through, &message, 0) != 1)
                say("sendmsg %s", outcome(-1));
}

static int take_over(int through)
{
        union control control;
        char byte;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control};
        int fd = -1;

        if (recvmsg(through, &message, 0) == 1)
                memcpy(&fd, CMSG_DATA(&control.head), sizeof fd);
        return fd;
}

int main(int argc, char **argv)
{
        int pair[2], fd, status;
        pid_t pid;

        idiom_start(argc, argv);
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        pid = fork();
        if (pid == 0) {
                close(pair[0]);
                fd = take_over(pair[1]);
                if (fd < 0)
                        _exit(1);
                say("child: poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
                settle(fd);
                _exit(7);
        }
        close(pair[1]);
        fd = tcp_socket(SOCK_NONBLOCK);
        if (begin_nonblocking(fd))
                hand_over(pair[0], fd);
        close(fd);
        close(pair[0]);
        waitpid(pid, &status, 0);
        say("child ended with %d", WEXITSTATUS(status));
        return 0;
}
