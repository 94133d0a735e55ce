/* A preloaded library that makes one call of a process fail: FAIL="NAME:N:ERRNO" lets the Nth call
 * of NAME return -1 (or NULL) with ERRNO, and all others through; FAIL="NAME:N+:ERRNO" fails the
 * Nth and all after it. FAIL_COUNT=PATH writes how often each was called, at exit, and then the
 * numbers of those that came from a place (the innermost frames) that was new. For the relay
 * only: it names no other process, since what it starts is left alone (FAIL is taken out of the
 * environment). */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum call {
        CALL_MALLOC,
        CALL_CALLOC,
        CALL_REALLOC,
        CALL_SOCKET,
        CALL_CONNECT,
        CALL_ACCEPT4,
        CALL_BIND,
        CALL_LISTEN,
        CALL_SEND,
        CALL_RECV,
        CALL_EPOLL_CTL,
        CALL_EPOLL_WAIT,
        CALL_PIPE2,
        CALL_SPLICE,
        CALL_WRITE,
        CALL_OPEN,
        CALL_FCNTL,
        CALL_GETSOCKOPT,
        CALL_SETSOCKOPT,
        CALL_GETSOCKNAME,
        CALL_GETPEERNAME,
        CALL_SHUTDOWN,
        CALL_COUNT
};

static const char *const names[CALL_COUNT] = {
        "malloc",     "calloc",      "realloc",     "socket",  "connect",   "accept4",
        "bind",       "listen",      "send",        "recv",    "epoll_ctl", "epoll_wait",
        "pipe2",      "splice",      "write",       "open",    "fcntl",     "getsockopt",
        "setsockopt", "getsockname", "getpeername", "shutdown"};

static atomic_ulong counts[CALL_COUNT];
static int chosen = -1, fail_errno, fail_all, trace; /* trace: FAIL_TRACE is set */
static unsigned long fail_at;
static char count_path[4096];

/* Places from which calls came, by a hash of their innermost frames. */
enum { FRAMES = 5, PLACES = 1 << 16 };

static atomic_ulong places[PLACES];

struct first {
        unsigned char call;
        unsigned long n;
};

static struct first firsts[PLACES / 2];
static atomic_uint first_count;
static _Thread_local int noting; /* backtrace(3) may allocate */

static void note_place(enum call call, unsigned long n)
{
        void *frames[FRAMES + 2];
        unsigned long hash = call + 1, was = 0;
        int depth;
        unsigned at;

        if (noting)
                return;
        noting = 1;
        depth = backtrace(frames, FRAMES + 2);
        noting = 0;
        for (int i = 2; i < depth; i++)
                hash = (hash ^ (unsigned long)frames[i]) * 0x9e3779b97f4a7c15ul;
        for (at = (unsigned)(hash >> 48) % PLACES; was != hash; at = (at + 1) % PLACES) {
                was = 0;
                if (atomic_compare_exchange_strong(&places[at], &was, hash))
                        break;
                if (was == hash)
                        return;
        }
        at = atomic_fetch_add(&first_count, 1);
        if (at < PLACES / 2)
                firsts[at] = (struct first){(unsigned char)call, n};
}

/* Where it died, for addr2line(1). */
static void died(int number)
{
        void *frames[32];

        chosen = -1;
        backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
        signal(number, SIG_DFL);
        raise(number);
}

__attribute__((constructor)) static void begin(void)
{
        const char *what = getenv("FAIL"), *path = getenv("FAIL_COUNT"), *colon;

        if (path != NULL)
                snprintf(count_path, sizeof count_path, "%s", path);
        colon = what != NULL ? strchr(what, ':') : NULL;
        for (int i = 0; colon != NULL && i < CALL_COUNT; i++)
                if (strncmp(names[i], what, (size_t)(colon - what)) == 0 &&
                    names[i][colon - what] == '\0')
                        chosen = i;
        if (chosen >= 0) {
                char *end;

                fail_at = strtoul(colon + 1, &end, 10);
                fail_all = *end == '+';
                fail_errno = atoi(strchr(colon + 1, ':') + 1);
        }
        static char stack[65536];
        stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
        struct sigaction act = {.sa_handler = died, .sa_flags = SA_ONSTACK};

        sigaltstack(&own, NULL);
        sigaction(SIGSEGV, &act, NULL);
        signal(SIGBUS, died);
        signal(SIGABRT, died);
        trace = getenv("FAIL_TRACE") != NULL;
        unsetenv("FAIL");
        unsetenv("FAIL_COUNT");
        unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void)
{
        int fd = *count_path != '\0' ? (int)syscall(SYS_openat, AT_FDCWD, count_path,
                                                    O_WRONLY | O_CREAT | O_TRUNC, 0644)
                                     : -1;
        if (fd < 0)
                return;
        *count_path = '\0';
        for (int i = 0; i < CALL_COUNT; i++) {
                dprintf(fd, "%s %lu", names[i], atomic_load(&counts[i]));
                for (unsigned at = 0; at < first_count && at < PLACES / 2; at++)
                        if (firsts[at].call == i)
                                dprintf(fd, " %lu", firsts[at].n);
                dprintf(fd, "\n");
        }
}

/* True if this call is the one: errno is set. */
static int fails(enum call call)
{
        unsigned long n = atomic_fetch_add(&counts[call], 1) + 1;

        if (*count_path != '\0')
                note_place(call, n);
        if ((int)call != chosen || (fail_all ? n < fail_at : n != fail_at))
                return 0;
        if (trace) {
                void *frames[32];

                trace = 0;
                backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
        }
        errno = fail_errno;
        return 1;
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

void *malloc(size_t size)
{
        return fails(CALL_MALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
        return fails(CALL_CALLOC) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
        return fails(CALL_REALLOC) ? NULL : __libc_realloc(old, size);
}

/* The system calls themselves: dlsym() would allocate. */
#define WRAP_IF(failed, number, type, name, params, ...)                                           \
        type name params                                                                           \
        {                                                                                          \
                return (failed) ? (type)-1 : (type)syscall(number, __VA_ARGS__);                   \
        }
#define WRAP(call, number, type, name, params, ...)                                                \
        WRAP_IF(fails(call), number, type, name, params, __VA_ARGS__)

WRAP(CALL_SOCKET, SYS_socket, int, socket, (int family, int kind, int protocol), family, kind,
     protocol)
WRAP(CALL_CONNECT, SYS_connect, int, connect, (int fd, const struct sockaddr *to, socklen_t len),
     fd, to, len)
WRAP(CALL_ACCEPT4, SYS_accept4, int, accept4,
     (int fd, struct sockaddr *from, socklen_t *len, int flags), fd, from, len, flags)
WRAP(CALL_BIND, SYS_bind, int, bind, (int fd, const struct sockaddr *to, socklen_t len), fd, to,
     len)
WRAP(CALL_LISTEN, SYS_listen, int, listen, (int fd, int backlog), fd, backlog)
/* A connection that fails stays failed, and its events tell of it. */
static int breaks(enum call call, int fd)
{
        if (!fails(call))
                return 0;
        syscall(SYS_shutdown, fd, SHUT_RDWR);
        errno = fail_errno;
        return 1;
}

WRAP_IF(breaks(CALL_SEND, fd), SYS_sendto, ssize_t, send,
        (int fd, const void *data, size_t len, int flags), fd, data, len, flags, NULL, 0)
WRAP_IF(breaks(CALL_RECV, fd), SYS_recvfrom, ssize_t, recv,
        (int fd, void *data, size_t len, int flags), fd, data, len, flags, NULL, NULL)
/* Taking a descriptor out cannot fail. */
WRAP_IF(op != EPOLL_CTL_DEL && fails(CALL_EPOLL_CTL), SYS_epoll_ctl, int, epoll_ctl,
        (int epfd, int op, int fd, struct epoll_event *event), epfd, op, fd, event)
WRAP(CALL_EPOLL_WAIT, SYS_epoll_wait, int, epoll_wait,
     (int epfd, struct epoll_event *events, int max, int ms), epfd, events, max, ms)
WRAP(CALL_PIPE2, SYS_pipe2, int, pipe2, (int ends[2], int flags), ends, flags)
WRAP(CALL_SPLICE, SYS_splice, ssize_t, splice,
     (int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags), in, in_at, out,
     out_at, len, flags)
WRAP(CALL_WRITE, SYS_write, ssize_t, write, (int fd, const void *data, size_t len), fd, data, len)
WRAP(CALL_GETSOCKOPT, SYS_getsockopt, int, getsockopt,
     (int fd, int level, int name, void *value, socklen_t *len), fd, level, name, value, len)
WRAP(CALL_SETSOCKOPT, SYS_setsockopt, int, setsockopt,
     (int fd, int level, int name, const void *value, socklen_t len), fd, level, name, value, len)
WRAP(CALL_GETSOCKNAME, SYS_getsockname, int, getsockname,
     (int fd, struct sockaddr *name, socklen_t *len), fd, name, len)
WRAP(CALL_GETPEERNAME, SYS_getpeername, int, getpeername,
     (int fd, struct sockaddr *name, socklen_t *len), fd, name, len)
WRAP(CALL_SHUTDOWN, SYS_shutdown, int, shutdown, (int fd, int how), fd, how)

int open(const char *path, int flags, ...)
{
        mode_t mode = 0;

        if (flags & (O_CREAT | __O_TMPFILE)) {
                va_list args;

                va_start(args, flags);
                mode = va_arg(args, mode_t);
                va_end(args);
        }
        return fails(CALL_OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
        va_list args;
        long value;

        va_start(args, command);
        value = va_arg(args, long);
        va_end(args);
        return fails(CALL_FCNTL) ? -1 : (int)syscall(SYS_fcntl, fd, command, value);
}
