/* Locks. A lock that somebody else holds (EAGAIN, EACCES from fcntl's F_SETLK) is an answer, not a
 * failure; a file system without locks is one. */
#include "files.h"
#include "real.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/file.h>
#include <unistd.h>

static int locked(int result, const char *name, int fd)
{
        if (__builtin_expect(result < 0, 0) && errno != EACCES)
                files_failed_fd(name, fd, WIRE_INTENT_LOCK);
        return result;
}

EXPORT int flock(int fd, int operation)
{
        return locked(REAL(flock)(fd, operation), "flock", fd);
}

EXPORT int lockf(int fd, int command, off_t len)
{
        return locked(REAL(lockf)(fd, command, len), "lockf", fd);
}

EXPORT int lockf64(int fd, int command, off64_t len)
{
        return locked(REAL(lockf64)(fd, command, len), "lockf", fd);
}

static bool is_lock(int command)
{
        return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
               command == F_OFD_SETLKW;
}

/* fcntl's third argument is an int, a pointer or absent; passed on as the widest of these, which is
 * what the kernel's own interface takes. */
EXPORT int fcntl(int fd, int command, ...)
{
        va_list list;
        void *argument;
        int result;

        va_start(list, command);
        argument = va_arg(list, void *);
        va_end(list);
        result = REAL(fcntl)(fd, command, argument);
        return is_lock(command) ? locked(result, "fcntl", fd) : result;
}

EXPORT int fcntl64(int fd, int command, ...)
{
        va_list list;
        void *argument;
        int result;

        va_start(list, command);
        argument = va_arg(list, void *);
        va_end(list);
        result = REAL(fcntl64)(fd, command, argument);
        return is_lock(command) ? locked(result, "fcntl", fd) : result;
}
