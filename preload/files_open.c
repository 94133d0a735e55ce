/* The open(2) family, with the large-file and fortify twins that compilers call, and stdio's own
 * doors: glibc opens files inside fopen() without coming through open(). */
#include "files.h"
#include "real.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* The forms that _FORTIFY_SOURCE calls when flags cannot ask for a mode; no header declares them.
 */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

/* open takes a mode with O_CREAT and with O_TMPFILE, whose bits include O_DIRECTORY's. */
static bool takes_mode(int flags)
{
        return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

/* Programs look by the thousand for files that are not there. Not inlined: what it needs would be
 * kept ready by opens that work. */
static __attribute__((noinline)) int not_opened(const char *name, int dir, const char *path,
                                                int flags)
{
        if (errno != ENOENT || takes_mode(flags))
                files_failed_open(name, dir, path, flags);
        return -1;
}

static int opened(int fd, const char *name, int dir, const char *path, int flags)
{
        if (__builtin_expect(fd < 0, 0))
                return not_opened(name, dir, path, flags);
        return fd;
}

#define MODE_ARGUMENT(flags, mode)                                                                 \
        do {                                                                                       \
                if (takes_mode(flags)) {                                                           \
                        va_list list;                                                              \
                        va_start(list, flags);                                                     \
                        mode = va_arg(list, mode_t);                                               \
                        va_end(list);                                                              \
                }                                                                                  \
        } while (0)

EXPORT int open(const char *path, int flags, ...)
{
        mode_t mode = 0;

        MODE_ARGUMENT(flags, mode);
        return opened(REAL(open)(path, flags, mode), "open", AT_FDCWD, path, flags);
}

EXPORT int open64(const char *path, int flags, ...)
{
        mode_t mode = 0;

        MODE_ARGUMENT(flags, mode);
        return opened(REAL(open64)(path, flags, mode), "open", AT_FDCWD, path, flags);
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
        mode_t mode = 0;

        MODE_ARGUMENT(flags, mode);
        return opened(REAL(openat)(dir, path, flags, mode), "openat", dir, path, flags);
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
{
        mode_t mode = 0;

        MODE_ARGUMENT(flags, mode);
        return opened(REAL(openat64)(dir, path, flags, mode), "openat", dir, path, flags);
}

EXPORT int __open_2(const char *path, int flags)
{
        return opened(REAL(__open_2)(path, flags), "open", AT_FDCWD, path, flags);
}

EXPORT int __open64_2(const char *path, int flags)
{
        return opened(REAL(__open64_2)(path, flags), "open", AT_FDCWD, path, flags);
}

EXPORT int __openat_2(int dir, const char *path, int flags)
{
        return opened(REAL(__openat_2)(dir, path, flags), "openat", dir, path, flags);
}

EXPORT int __openat64_2(int dir, const char *path, int flags)
{
        return opened(REAL(__openat64_2)(dir, path, flags), "openat", dir, path, flags);
}

EXPORT int creat(const char *path, mode_t mode)
{
        return opened(REAL(creat)(path, mode), "creat", AT_FDCWD, path,
                      O_CREAT | O_WRONLY | O_TRUNC);
}

EXPORT int creat64(const char *path, mode_t mode)
{
        return opened(REAL(creat64)(path, mode), "creat", AT_FDCWD, path,
                      O_CREAT | O_WRONLY | O_TRUNC);
}

/* open(2) flags that fopen(3) uses for a mode string. */
static int mode_flags(const char *mode)
{
        bool plus = false;

        for (const char *p = mode; *p != '\0' && *p != ','; p++)
                plus = plus || *p == '+';
        if (mode[0] == 'r')
                return plus ? O_RDWR : O_RDONLY;
        return O_CREAT | (plus ? O_RDWR : O_WRONLY);
}

static FILE *streamed(FILE *stream, const char *name, const char *path, const char *mode)
{
        if (__builtin_expect(stream == NULL, 0) && path != NULL)
                files_failed_open(name, AT_FDCWD, path, mode_flags(mode));
        return stream;
}

EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
        return streamed(REAL(fopen)(path, mode), "fopen", path, mode);
}

EXPORT FILE *fopen64(const char *restrict path, const char *restrict mode)
{
        return streamed(REAL(fopen64)(path, mode), "fopen", path, mode);
}

EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict stream)
{
        return streamed(REAL(freopen)(path, mode, stream), "freopen", path, mode);
}

EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict stream)
{
        return streamed(REAL(freopen64)(path, mode, stream), "freopen", path, mode);
}
