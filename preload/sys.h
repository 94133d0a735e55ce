/* Raw system calls for the library's own needs. Going around libc keeps our own hooks, other
 * preloads, cancellation points and errno out of it: these return -errno and touch nothing else. */
#ifndef PRELOAD_SYS_H
#define PRELOAD_SYS_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <errno.h>

#if defined(__clang_analyzer__)

/* It does not see that the kernel writes; of a function that it does not know it assumes so. */
long sys6(long nr, long a, long b, long c, long d, long e, long f);

#elif defined(__x86_64__)

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        register long r9 __asm__("r9") = f;
        long result;

        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return result;
}

#elif defined(__aarch64__)

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
        register long x8 __asm__("x8") = nr;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;
        register long x5 __asm__("x5") = f;

        __asm__ volatile("svc 0"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                         : "memory");
        return x0;
}

#else
#error "libtapline.so needs a raw system call for this architecture: add it to preload/sys.h"
#endif

#define SYS_LONG(x)      ((long)(x))
#define sys(nr, a, b, c) sys6((nr), SYS_LONG(a), SYS_LONG(b), SYS_LONG(c), 0, 0, 0)

/* readlink(2), which newer architectures do not have. */
static inline long sys_readlink(const char *path, char *out, size_t cap)
{
        return sys6(SYS_readlinkat, AT_FDCWD, SYS_LONG(path), SYS_LONG(out), SYS_LONG(cap), 0, 0);
}

#endif
