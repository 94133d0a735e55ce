/* nullshim.c - the least an LD_PRELOAD shim can do: every hook counts and calls on. It is the floor
 * against which the preload libraries (and later tapline's) are read. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>

static atomic_ulong calls;

/* next(f): the following definition of f, looked up once. */
#define NEXT(ret, name, ...)                                                                       \
        static ret (*next)(__VA_ARGS__);                                                           \
        if (!next)                                                                                 \
                next = (ret(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name);                                \
        atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed)

#define MODE(flags, last)                                                                          \
        mode_t mode = 0;                                                                           \
        if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                   \
                va_list ap;                                                                        \
                va_start(ap, last);                                                                \
                mode = va_arg(ap, mode_t);                                                         \
                va_end(ap);                                                                        \
        }

int open(const char *p, int fl, ...)
{
        MODE(fl, fl);
        NEXT(int, "open", const char *, int, mode_t);
        return next(p, fl, mode);
}
int open64(const char *p, int fl, ...)
{
        MODE(fl, fl);
        NEXT(int, "open64", const char *, int, mode_t);
        return next(p, fl, mode);
}
int openat(int d, const char *p, int fl, ...)
{
        MODE(fl, fl);
        NEXT(int, "openat", int, const char *, int, mode_t);
        return next(d, p, fl, mode);
}
int openat64(int d, const char *p, int fl, ...)
{
        MODE(fl, fl);
        NEXT(int, "openat64", int, const char *, int, mode_t);
        return next(d, p, fl, mode);
}
int close(int fd)
{
        NEXT(int, "close", int);
        return next(fd);
}
int connect(int fd, const struct sockaddr *a, socklen_t n)
{
        NEXT(int, "connect", int, const struct sockaddr *, socklen_t);
        return next(fd, a, n);
}
int SSL_read(void *s, void *b, int n)
{
        NEXT(int, "SSL_read", void *, void *, int);
        return next(s, b, n);
}
int SSL_write(void *s, const void *b, int n)
{
        NEXT(int, "SSL_write", void *, const void *, int);
        return next(s, b, n);
}
