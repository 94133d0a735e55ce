/* A signal during connect(): with SA_RESTART it is not noticed, without it is EINTR and connecting
 * goes on. */
#include "idiom.h"

#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t caught;

static void handler(int number)
{
        (void)number;
        caught++;
}

static void arm(int flags)
{
        struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
        struct itimerval timer = {.it_value.tv_usec = 400000};

        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &timer, NULL);
}

int main(int argc, char **argv)
{
        struct itimerval off = {.it_value.tv_usec = 0};
        int fd, result;

        idiom_start(argc, argv);
        fd = tcp_socket(0);
        arm(0);
        result = connect_target(fd);
        say("connect %s, %d signals", outcome(result), (int)caught);
        setitimer(ITIMER_REAL, &off, NULL);
        if (result < 0 && errno == EINTR) {
                say("peer %s", peer_of(fd));
                say("poll %s", event_names(poll_for(fd, POLLIN | POLLOUT, WAIT_MS)));
                settle(fd);
        }
        close(fd);
        fd = tcp_socket(0);
        caught = 0;
        arm(SA_RESTART);
        result = connect_target(fd);
        say("connect %s, %d signals", outcome(result), (int)caught);
        return 0;
}
