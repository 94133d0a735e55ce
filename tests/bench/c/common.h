/* common.h - the few helpers every benchmark program shares. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fprintf(stderr, "\n");
        exit(2);
}

static inline uint64_t now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* "127.0.0.1:80" -> sockaddr; only literal IPv4, the benches never resolve names. */
static inline struct sockaddr_in parse_addr(const char *s)
{
        struct sockaddr_in a = {.sin_family = AF_INET};
        char host[64];
        const char *colon = strrchr(s, ':');
        if (!colon || (size_t)(colon - s) >= sizeof host)
                die("bad address '%s' (want ip:port)", s);
        memcpy(host, s, (size_t)(colon - s));
        host[colon - s] = 0;
        if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &a.sin_addr) != 1)
                die("bad ip in '%s'", s);
        a.sin_port = htons((uint16_t)atoi(colon + 1));
        return a;
}

static inline void nodelay(int fd)
{
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline int tcp_listen(const char *addr)
{
        struct sockaddr_in a = parse_addr(addr);
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096))
                die("listen %s: %s", addr, strerror(errno));
        return fd;
}

/* Body byte i of every origin response is pattern[i % PATTERN]; 'load check' verifies it. */
#define PATTERN (256 * 1024)
static inline void fill_pattern(unsigned char *p)
{
        uint32_t x = 2463534242u;
        for (int i = 0; i < PATTERN; i++) {
                x ^= x << 13, x ^= x >> 17, x ^= x << 5;
                p[i] = (unsigned char)(x >> 24);
        }
}
#endif
