/* What the idiom_*.c programs share. Each connects in one manner to HOST PORT [SYNCNT] and prints
 * what it saw: one line per step, ending in t=<milliseconds since the start>.
 * tests/e2e/test_idioms.py runs each bare and under tapline and compares the lines, and the times
 * with a tolerance. */
#ifndef IDIOM_H
#define IDIOM_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define UNUSED_OK __attribute__((unused)) static

enum { WAIT_MS = 9000 };

static struct sockaddr_storage target;
static socklen_t target_len;
static int syn_count;
static struct timespec started;

UNUSED_OK long elapsed_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (now.tv_sec - started.tv_sec) * 1000 + (now.tv_nsec - started.tv_nsec) / 1000000;
}

__attribute__((format(printf, 1, 2))) UNUSED_OK void say(const char *format, ...)
{
        va_list list;

        va_start(list, format);
        vprintf(format, list);
        va_end(list);
        printf(" t=%ld\n", elapsed_ms());
        fflush(stdout);
}

/* "ok" or the errno's name, of what a call returned. */
UNUSED_OK const char *outcome(long result)
{
        const char *name = result >= 0 ? "ok" : strerrorname_np(errno);

        return name != NULL ? name : "?";
}

UNUSED_OK const char *error_name(int error)
{
        const char *name = error == 0 ? "0" : strerrorname_np(error);

        return name != NULL ? name : "?";
}

UNUSED_OK void idiom_start(int argc, char **argv)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)&target;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target;

        if (argc < 3)
                exit(64);
        if (inet_pton(AF_INET, argv[1], &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons((uint16_t)atoi(argv[2]));
                target_len = sizeof *v4;
        } else if (inet_pton(AF_INET6, argv[1], &v6->sin6_addr) == 1) {
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons((uint16_t)atoi(argv[2]));
                target_len = sizeof *v6;
        } else {
                exit(64);
        }
        syn_count = argc > 3 ? atoi(argv[3]) : 0;
        signal(SIGPIPE, SIG_IGN);
        clock_gettime(CLOCK_MONOTONIC, &started);
}

UNUSED_OK int tcp_socket(int flags)
{
        int fd = socket(target.ss_family, SOCK_STREAM | flags, 0);

        if (fd < 0)
                exit(65);
        if (syn_count > 0)
                setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &syn_count, sizeof syn_count);
        return fd;
}

UNUSED_OK int connect_target(int fd)
{
        return connect(fd, (struct sockaddr *)&target, target_len);
}

UNUSED_OK int so_error(int fd)
{
        int error = -1;
        socklen_t len = sizeof error;

        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
        return error;
}

UNUSED_OK const char *peer_of(int fd)
{
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;

        memset(&peer, 0, sizeof peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
                return strerrorname_np(errno);
        return len == target_len && memcmp(&peer, &target, len) == 0 ? "the target" : "ANOTHER";
}

/* The descriptor's own address, and whether it has a port. */
UNUSED_OK const char *own_of(int fd)
{
        static char text[INET6_ADDRSTRLEN + 16];
        struct sockaddr_storage own;
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&own;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&own;
        socklen_t len = sizeof own;

        memset(&own, 0, sizeof own);
        if (getsockname(fd, (struct sockaddr *)&own, &len) < 0)
                return strerrorname_np(errno);
        if (own.ss_family == AF_INET)
                inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        else
                inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        strcat(text, v4->sin_port != 0 ? " port" : " no port");
        return text;
}

/* Events as letters: what poll(2) reports, without the duplicates of POLLRDNORM and kin. */
UNUSED_OK const char *event_names(unsigned events)
{
        static const struct {
                unsigned bit;
                const char *name;
        } names[] = {{POLLIN, "IN"},
                     {POLLOUT, "OUT"},
                     {POLLRDHUP, "RDHUP"},
                     {POLLERR, "ERR"},
                     {POLLHUP, "HUP"}};
        static _Thread_local char text[40];

        text[0] = '\0';
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                if ((events & names[i].bit) == 0)
                        continue;
                strcat(text, text[0] != '\0' ? "|" : "");
                strcat(text, names[i].name);
        }
        return text[0] != '\0' ? text : "none";
}

UNUSED_OK unsigned poll_for(int fd, short events, int ms)
{
        struct pollfd p = {.fd = fd, .events = events};

        while (poll(&p, 1, ms) < 0 && errno == EINTR)
                ;
        return (unsigned)p.revents;
}

/* Ask and read all of the answer, on a connected descriptor. Blocks. */
UNUSED_OK void exchange(int fd)
{
        char data[4096];
        size_t bytes = 0;
        unsigned sum = 0;
        ssize_t n;

        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        n = send(fd, "give\n", 5, MSG_NOSIGNAL);
        say("send %zd %s", n, outcome(n));
        while ((n = recv(fd, data, sizeof data, 0)) > 0) {
                for (ssize_t i = 0; i < n; i++)
                        sum = sum * 31 + (unsigned char)data[i];
                bytes += (size_t)n;
        }
        say("received %zu sum %08x end %s", bytes, sum, outcome(n));
}

/* What a descriptor looks like after a failure, and that it can be used again. */
UNUSED_OK void aftermath(int fd)
{
        char byte;
        ssize_t n;

        say("after: poll %s", event_names(poll_for(fd, POLLIN | POLLOUT | POLLRDHUP, 0)));
        say("after: peer %s", peer_of(fd));
        n = send(fd, "x", 1, MSG_NOSIGNAL);
        say("after: send %s", outcome(n));
        n = write(fd, "x", 1);
        say("after: write %s", outcome(n));
        n = recv(fd, &byte, 1, MSG_DONTWAIT);
        say("after: recv %zd %s", n, outcome(n));
}

/* A connect() that was not waited for has come to its end. */
UNUSED_OK void settle(int fd)
{
        int error = so_error(fd);

        say("SO_ERROR %s then %s", error_name(error), error_name(so_error(fd)));
        say("peer %s", peer_of(fd));
        say("own %s", own_of(fd));
        if (error == 0)
                exchange(fd);
        else
                aftermath(fd);
}

/* Start connecting without waiting. Returns false if it failed at once. */
UNUSED_OK bool begin_nonblocking(int fd)
{
        int result = connect_target(fd);

        say("connect %s", outcome(result));
        if (result < 0 && errno != EINPROGRESS)
                return false;
        say("connecting from %s", own_of(fd));
        return true;
}

#endif
