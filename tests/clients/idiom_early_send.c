/* Begun without blocking, then written to at once, blocking: the bytes wait for the connection and
 * arrive. Then the same written by another thread than the one that waits. */
#include "idiom.h"

#include <pthread.h>

static void *write_early(void *fd)
{
        static ssize_t n;

        n = send(*(int *)fd, "give\n", 5, MSG_NOSIGNAL);
        return n == 5 ? NULL : &n;
}

static int blocking_again(void)
{
        int fd = tcp_socket(SOCK_NONBLOCK);

        if (!begin_nonblocking(fd))
                exit(0);
        fcntl(fd, F_SETFL, 0);
        return fd;
}

static void receive(int fd)
{
        char data[4096];
        size_t bytes = 0;
        ssize_t n;

        while ((n = recv(fd, data, sizeof data, 0)) > 0)
                bytes += (size_t)n;
        say("received %zu end %s", bytes, outcome(n));
        say("peer %s", peer_of(fd));
}

int main(int argc, char **argv)
{
        pthread_t thread;
        void *failed;
        ssize_t n;
        int fd;

        idiom_start(argc, argv);
        fd = blocking_again();
        n = send(fd, "give\n", 5, MSG_NOSIGNAL);
        say("send %zd %s", n, outcome(n));
        if (n == 5)
                receive(fd);
        close(fd);
        fd = blocking_again();
        pthread_create(&thread, NULL, write_early, &fd);
        pthread_join(thread, &failed);
        say("the other thread %s", failed == NULL ? "sent" : "could not send");
        receive(fd);
        return 0;
}
