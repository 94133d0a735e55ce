/* A preloaded library that makes one call of a process fail: FAIL="NAME:N:ERRNO" lets the Nth call
 * of NAME return -1 (or NULL) with ERRNO, and all others through; FAIL="NAME:N+:ERRNO" fails the
 * Nth and all after it, FAIL="NAME:N@PLACE:ERRNO" the first from PLACE that is the Nth or comes
 * after it. FAIL_COUNT=PATH writes how often each was called, at exit, and then as N@PLACE those
 * that came from a place (the whole stack) that was new. FAIL_TRACE=PATH gets the stacks of what
 * was made to fail and of a death. For the relay only: it names no other process, since what it
 * starts is left alone (these variables are taken out of the environment). */
#include "../../preload/sys.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
        CALL_READ,
        CALL_CLOSE,
        CALL_FSTAT,
        CALL_ACCESS,
        CALL_READLINK,
        CALL_UNLINK,
        CALL_POLL,
        CALL_EPOLL_CREATE1,
        CALL_EVENTFD,
        CALL_SIGNALFD,
        CALL_FOPEN,
        CALL_THREAD,
        CALL_MEMFD_CREATE,
        CALL_FTRUNCATE,
        CALL_MMAP,
        CALL_SENDMSG,
        CALL_PIDFD_OPEN,
        CALL_COUNT
};

static const char *const names[CALL_COUNT] = {
        "malloc",      "calloc",     "realloc",    "socket",         "connect",
        "accept4",     "bind",       "listen",     "send",           "recv",
        "epoll_ctl",   "epoll_wait", "pipe2",      "splice",         "write",
        "open",        "fcntl",      "getsockopt", "setsockopt",     "getsockname",
        "getpeername", "shutdown",   "read",       "close",          "fstat",
        "access",      "readlink",   "unlink",     "poll",           "epoll_create1",
        "eventfd",     "signalfd",   "fopen",      "pthread_create", "memfd_create",
        "ftruncate",   "mmap",       "sendmsg",    "pidfd_open"};

static atomic_ulong counts[CALL_COUNT];
static int chosen = -1, fail_errno, fail_all, trace_fd = -1;
static unsigned long fail_at, fail_place;
static char count_path[4096];

/* Places from which calls came, by a hash of their stack. */
enum { FRAMES = 64, PLACES = 1 << 16 };

static atomic_ulong places[PLACES];

struct first {
        unsigned char call;
        unsigned long n, place;
};

static struct first firsts[PLACES / 2];
static atomic_uint first_count;
static _Thread_local int noting; /* backtrace(3) may allocate */

/* 0 while another place is looked at. Libraries lie elsewhere in each process, but by whole pages:
 * the low bits of their addresses stay. */
static __attribute__((noinline)) unsigned long place_of_caller(enum call call)
{
        void *frames[FRAMES];
        unsigned long hash = call + 1;
        int depth;

        if (noting)
                return 0;
        noting = 1;
        depth = backtrace(frames, FRAMES);
        noting = 0;
        for (int i = 0; i < depth; i++)
                hash = (hash ^ ((unsigned long)frames[i] & 0xfff)) * 0x9e3779b97f4a7c15ul;
        return hash | 1;
}

static void note_place(enum call call, unsigned long n, unsigned long place)
{
        unsigned long was = 0;
        unsigned at = (unsigned)(place >> 48) % PLACES;

        for (; place != 0 && was != place; at = (at + 1) % PLACES) {
                was = 0;
                if (atomic_compare_exchange_strong(&places[at], &was, place))
                        break;
        }
        if (place == 0 || was == place)
                return;
        at = atomic_fetch_add(&first_count, 1);
        if (at < PLACES / 2)
                firsts[at] = (struct first){(unsigned char)call, n, place};
}

static void trace(const char *what)
{
        void *frames[FRAMES];

        noting = 1;
        syscall(SYS_write, trace_fd, what, strlen(what));
        backtrace_symbols_fd(frames, backtrace(frames, FRAMES), trace_fd);
        noting = 0;
}

/* Where it died, for addr2line(1). */
static void died(int number)
{
        chosen = -1;
        trace("died\n");
        signal(number, SIG_DFL);
        raise(number);
}

static FILE *(*real_fopen)(const char *, const char *);
static int (*real_pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static void read_choice(const char *what)
{
        const char *colon = what != NULL ? strchr(what, ':') : NULL;
        for (int i = 0; colon != NULL && i < CALL_COUNT; i++)
                if (strncmp(names[i], what, (size_t)(colon - what)) == 0 &&
                    names[i][colon - what] == '\0')
                        chosen = i;
        if (chosen >= 0) {
                char *end;

                fail_at = strtoul(colon + 1, &end, 10);
                fail_all = *end == '+';
                fail_place = *end == '@' ? strtoul(end + 1, NULL, 10) : 0;
                fail_errno = atoi(strchr(colon + 1, ':') + 1);
        }
}

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("FAIL_COUNT"), *trace_path = getenv("FAIL_TRACE");
        static char stack[65536];
        stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
        struct sigaction act = {.sa_handler = died, .sa_flags = SA_ONSTACK};

        sigaltstack(&own, NULL);
        sigaction(SIGSEGV, &act, NULL);
        signal(SIGBUS, died);
        signal(SIGABRT, died);
        real_fopen = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
        real_pthread_create = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                                       void *))dlsym(RTLD_NEXT, "pthread_create");
        if (path != NULL)
                snprintf(count_path, sizeof count_path, "%s", path);
        if (trace_path != NULL)
                trace_fd = (int)syscall(SYS_openat, AT_FDCWD, trace_path,
                                        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        read_choice(getenv("FAIL"));
        unsetenv("FAIL");
        unsetenv("FAIL_COUNT");
        unsetenv("FAIL_TRACE");
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
                                dprintf(fd, " %lu@%lu", firsts[at].n, firsts[at].place);
                dprintf(fd, "\n");
        }
}

static void trace_once(void)
{
        static atomic_int told;

        if (trace_fd >= 0 && !atomic_exchange(&told, 1))
                trace("failed\n");
}

static atomic_int done; /* the call from fail_place has been made */

static int is_candidate(enum call call, unsigned long n)
{
        return (int)call == chosen && n >= fail_at && !noting && !done;
}

static int is_chosen(unsigned long n, unsigned long place)
{
        if (fail_place != 0)
                return place == fail_place && !atomic_exchange(&done, 1);
        return fail_all || n == fail_at;
}

/* True if this call is the one: errno is set. */
static __attribute__((noinline)) int fails(enum call call)
{
        unsigned long n = atomic_fetch_add(&counts[call], 1) + 1, place = 0;

        if (*count_path != '\0' || (fail_place != 0 && is_candidate(call, n)))
                place = place_of_caller(call);
        if (*count_path != '\0')
                note_place(call, n, place);
        if (!is_candidate(call, n) || !is_chosen(n, place))
                return 0;
        trace_once();
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
WRAP_IF(breaks(CALL_SHUTDOWN, fd), SYS_shutdown, int, shutdown, (int fd, int how), fd, how)
WRAP(CALL_READ, SYS_read, ssize_t, read, (int fd, void *data, size_t len), fd, data, len)
WRAP(CALL_FSTAT, SYS_fstat, int, fstat, (int fd, struct stat *st), fd, st)
WRAP(CALL_ACCESS, SYS_faccessat, int, access, (const char *path, int mode), AT_FDCWD, path, mode)
WRAP(CALL_READLINK, SYS_readlinkat, ssize_t, readlink, (const char *path, char *to, size_t len),
     AT_FDCWD, path, to, len)
WRAP(CALL_UNLINK, SYS_unlinkat, int, unlink, (const char *path), AT_FDCWD, path, 0)
WRAP(CALL_POLL, SYS_poll, int, poll, (struct pollfd * fds, nfds_t count, int ms), fds, count, ms)
WRAP(CALL_EPOLL_CREATE1, SYS_epoll_create1, int, epoll_create1, (int flags), flags)
WRAP(CALL_EVENTFD, SYS_eventfd2, int, eventfd, (unsigned count, int flags), count, flags)
WRAP(CALL_SIGNALFD, SYS_signalfd4, int, signalfd, (int fd, const sigset_t *mask, int flags), fd,
     mask, _NSIG / 8, flags)

WRAP(CALL_MEMFD_CREATE, SYS_memfd_create, int, memfd_create, (const char *name, unsigned flags),
     name, flags)
WRAP(CALL_FTRUNCATE, SYS_ftruncate, int, ftruncate, (int fd, off_t len), fd, len)
WRAP(CALL_MMAP, SYS_mmap, void *, mmap,
     (void *at, size_t len, int allowed, int flags, int fd, off_t from), at, len, allowed, flags,
     fd, from)
/* The connection goes on: what fails is the passing of a descriptor, for want of room. */
WRAP(CALL_SENDMSG, SYS_sendmsg, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
     fd, message, flags)

/* All of the above go through here, too. */
long syscall(long number, ...)
{
        va_list args;
        long values[6], result;

        va_start(args, number);
        for (int i = 0; i < 6; i++)
                values[i] = va_arg(args, long);
        va_end(args);
        if (number == SYS_pidfd_open && fails(CALL_PIDFD_OPEN))
                return -1;
        result = sys6(number, values[0], values[1], values[2], values[3], values[4], values[5]);
        if (result >= 0 || result < -4095)
                return result;
        errno = (int)-result;
        return -1;
}

/* It is closed all the same: close(2). */
int close(int fd)
{
        int failed = fails(CALL_CLOSE), result = (int)syscall(SYS_close, fd);

        if (failed)
                errno = fail_errno;
        return failed ? -1 : result;
}

FILE *fopen(const char *path, const char *mode)
{
        return fails(CALL_FOPEN) ? NULL : real_fopen(path, mode);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *ctx)
{
        return fails(CALL_THREAD) ? fail_errno : real_pthread_create(thread, attributes, run, ctx);
}

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
