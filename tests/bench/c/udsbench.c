/* udsbench.c - what it costs a shim to talk to a local relay: round trips over a UNIX socket (kept
 * open, and a new connection each time), one-way datagrams, and loopback TCP for comparison.
 *
 *   udsbench DIR SECONDS-PER-CASE */
#include "common.h"
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct sockaddr_un un = {.sun_family = AF_UNIX};
static struct sockaddr_in in;
static double secs;

static int dial(int tcp)
{
        int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
        if (tcp)
                nodelay(fd);
        if (connect(fd, tcp ? (void *)&in : (void *)&un, tcp ? sizeof in : sizeof un))
                die("connect: %s", strerror(errno));
        return fd;
}

/* Echoes 64-byte messages on each accepted connection, one connection at a time. */
static pid_t echo_server(int tcp)
{
        int lfd = tcp ? tcp_listen("127.0.0.1:0") : socket(AF_UNIX, SOCK_STREAM, 0);
        socklen_t n = sizeof in;
        if (tcp)
                getsockname(lfd, (void *)&in, &n);
        else if (unlink(un.sun_path), bind(lfd, (void *)&un, sizeof un) || listen(lfd, 128))
                die("bind %s: %s", un.sun_path, strerror(errno));
        pid_t pid = fork();
        if (pid) {
                close(lfd);
                return pid;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int fd; (fd = accept(lfd, NULL, NULL)) >= 0; close(fd)) {
                char b[64];
                if (tcp)
                        nodelay(fd);
                for (ssize_t k; (k = read(fd, b, sizeof b)) > 0;)
                        if (write(fd, b, (size_t)k) != k)
                                break;
        }
        _exit(0);
}

static double round_trips(int tcp, int reconnect)
{
        pid_t pid = echo_server(tcp);
        char b[64] = "ping";
        int fd = reconnect ? -1 : dial(tcp);
        uint64_t t0 = now_ns(), end = t0 + (uint64_t)(secs * 1e9), n = 0;
        for (; now_ns() < end; n++) {
                if (reconnect)
                        fd = dial(tcp);
                if (write(fd, b, sizeof b) != sizeof b || read(fd, b, sizeof b) != sizeof b)
                        die("echo failed");
                if (reconnect)
                        close(fd);
        }
        double us = (double)(now_ns() - t0) / 1e3 / (double)n;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return us;
}

/* A shim that only reports events: one 256-byte datagram, nobody answers. Sender-side cost. */
static double one_way(void)
{
        int p[2];
        char b[256] = "event";
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, p))
                die("socketpair");
        pid_t pid = fork();
        if (!pid) {
                close(p[0]);
                while (read(p[1], b, sizeof b) > 0)
                        ;
                _exit(0);
        }
        close(p[1]);
        uint64_t t0 = now_ns(), end = t0 + (uint64_t)(secs * 1e9), n = 0;
        for (; now_ns() < end; n++)
                if (send(p[0], b, sizeof b, 0) < 0)
                        die("send");
        double us = (double)(now_ns() - t0) / 1e3 / (double)n;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return us;
}

int main(int argc, char **argv)
{
        if (argc != 3)
                die("usage: udsbench dir seconds-per-case");
        snprintf(un.sun_path, sizeof un.sun_path, "%s/uds.sock", argv[1]);
        secs = atof(argv[2]);
        double keep = round_trips(0, 0), each = round_trips(0, 1), tcp = round_trips(1, 0),
               tcpc = round_trips(1, 1);
        printf("{\"unix_roundtrip_us\":%.2f,\"unix_connect_roundtrip_us\":%.2f,\"tcp_roundtrip_"
               "us\":%.2f,"
               "\"tcp_connect_roundtrip_us\":%.2f,\"unix_dgram_send_us\":%.2f}\n",
               keep, each, tcp, tcpc, one_way());
        unlink(un.sun_path);
}
