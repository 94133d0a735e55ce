/* Locks. One that somebody else holds is an answer, not a failure, but a program that waits for it
 * may do so for ever without a word: the relay is told before the call blocks, and again when it
 * has ended. A call that waits is made twice: the first without waiting, which also is all that a
 * free lock needs. By flock(2) and fcntl(2) that is the same to everybody: a lock is given to
 * whoever is first once it is free, and flock gives up the lock that it is to convert in either
 * case. A file system without locks is a failure. */
#include "config.h"
#include "control.h"
#include "files.h"
#include "files_fold.h"
#include "real.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REFUSED_MS = 1000 }; /* some ask again twenty times a second */

struct lock_packet {
        struct wire_lock lock;
        char path[PATH_MAX];
};

static bool may_tell(const char *path, size_t len)
{
        uint32_t folded;

        return files_fold(&(struct files_fold){"refused", 0, path, len, 1, REFUSED_MS}, &folded);
}

void files_lock(const char *name, int fd, enum wire_lock_state state, int64_t waited_ms)
{
        struct lock_packet packet;
        int saved = errno;
        struct stat st;
        size_t len;

        if (!config.ready)
                return;
        len = files_fd_path(fd, packet.path, sizeof packet.path);
        if (len > 0 && (state != WIRE_LOCK_REFUSED || may_tell(packet.path, len))) {
                memset(&packet.lock, 0, sizeof packet.lock);
                if (sys(SYS_fstat, fd, &st, 0) == 0) {
                        packet.lock.device = st.st_dev;
                        packet.lock.inode = st.st_ino;
                }
                packet.lock.error = state == WIRE_LOCK_FAILED ? saved : 0;
                packet.lock.state = (uint8_t)state;
                packet.lock.waited_ms = waited_ms < UINT32_MAX ? (uint32_t)waited_ms : UINT32_MAX;
                memcpy(packet.lock.call, name, text_len(name, sizeof packet.lock.call - 1));
                control_report2(WIRE_LOCK, &packet.lock.head, sizeof packet.lock, packet.path, len);
        }
        errno = saved;
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Files of which a lock was refused to this process, so that it can be told when it got it after
 * all. A hint, as files_fold.c's: what finds no place is not told of. */
static struct {
        _Atomic uint64_t file; /* 0: none */
        _Atomic int64_t since_ms;
} refusals[8];
static _Atomic int refused; /* places taken */

enum { REFUSALS = sizeof refusals / sizeof *refusals };

static uint64_t file_of(int fd)
{
        struct stat st;

        if (sys(SYS_fstat, fd, &st, 0) < 0)
                return 0;
        return ((uint64_t)st.st_dev * 1099511628211u ^ st.st_ino) | 1;
}

static void note_refused(int fd)
{
        uint64_t file = file_of(fd);

        for (int i = 0; i < REFUSALS; i++)
                if (atomic_load_explicit(&refusals[i].file, memory_order_relaxed) == file)
                        return;
        for (int i = 0; file != 0 && i < REFUSALS; i++) {
                uint64_t none = 0;

                if (!atomic_compare_exchange_strong(&refusals[i].file, &none, file))
                        continue;
                atomic_store(&refusals[i].since_ms, now_ms());
                atomic_fetch_add(&refused, 1);
                return;
        }
}

__attribute__((cold, noinline)) static void note_got(const char *name, int fd)
{
        int saved = errno;
        uint64_t file = file_of(fd);

        for (int i = 0; file != 0 && i < REFUSALS; i++) {
                int64_t since = atomic_load(&refusals[i].since_ms);
                uint64_t expected = file;

                if (!atomic_compare_exchange_strong(&refusals[i].file, &expected, 0))
                        continue;
                atomic_fetch_sub(&refused, 1);
                files_lock(name, fd, WIRE_LOCK_GRANTED, now_ms() - since);
        }
        errno = saved;
}

static bool is_held(int result)
{
        return __builtin_expect(result < 0, 0) && (errno == EAGAIN || errno == EACCES);
}

/* The end of a call that did not wait. */
static int locked(int result, const char *name, int fd)
{
        if (is_held(result)) {
                note_refused(fd);
                files_lock(name, fd, WIRE_LOCK_REFUSED, 0);
        } else if (__builtin_expect(result < 0, 0)) {
                files_failed_fd(name, fd, WIRE_INTENT_LOCK);
        }
        return result;
}

/* The same for a call that takes a lock rather than gives it back. */
static int taken(int result, const char *name, int fd)
{
        if (result == 0 &&
            __builtin_expect(atomic_load_explicit(&refused, memory_order_relaxed), 0))
                note_got(name, fd);
        return locked(result, name, fd);
}

/* The end of one that had. A signal handler that interrupts it is how programs set a limit. */
static int waited(int result, const char *name, int fd, int64_t since_ms)
{
        files_lock(name, fd, result == 0 ? WIRE_LOCK_GRANTED : WIRE_LOCK_FAILED,
                   now_ms() - since_ms);
        return result;
}

EXPORT int flock(int fd, int operation)
{
        int64_t since;
        int result;

        if ((operation & LOCK_UN) != 0 || !config.ready)
                return locked(REAL(flock)(fd, operation), "flock", fd);
        result = REAL(flock)(fd, operation | LOCK_NB);
        if ((operation & LOCK_NB) != 0 || !is_held(result))
                return taken(result, "flock", fd);
        since = now_ms();
        files_lock("flock", fd, WIRE_LOCK_WAITING, 0);
        return waited(REAL(flock)(fd, operation), "flock", fd, since);
}

typedef int lockf_function(int fd, int command, off_t len);

static int lock_section(lockf_function *real, int fd, int command, off_t len)
{
        int64_t since;
        int result;

        if ((command != F_LOCK && command != F_TLOCK) || !config.ready)
                return locked(real(fd, command, len), "lockf", fd);
        result = real(fd, F_TLOCK, len);
        if (command == F_TLOCK || !is_held(result))
                return taken(result, "lockf", fd);
        since = now_ms();
        files_lock("lockf", fd, WIRE_LOCK_WAITING, 0);
        return waited(real(fd, command, len), "lockf", fd, since);
}

EXPORT int lockf(int fd, int command, off_t len)
{
        return lock_section(REAL(lockf), fd, command, len);
}

_Static_assert(sizeof(off_t) == sizeof(off64_t), "lockf and lockf64 differ");

EXPORT int lockf64(int fd, int command, off64_t len)
{
        return lock_section((lockf_function *)REAL(lockf64), fd, command, len);
}

/* The command that asks for the same lock without waiting; 0 for one that does not wait. */
static int without_waiting(int command)
{
        return command == F_SETLKW ? F_SETLK : command == F_OFD_SETLKW ? F_OFD_SETLK : 0;
}

/* F_UNLCK comes the same way. A result of 0 says that argument was good. */
static int asked(int result, int fd, const void *argument)
{
        if (result == 0 && ((const struct flock *)argument)->l_type == F_UNLCK)
                return 0;
        return taken(result, "fcntl", fd);
}

typedef int fcntl_function(int fd, int command, ...);

static int control_lock(fcntl_function *real, int fd, int command, void *argument)
{
        int first = without_waiting(command), result;
        int64_t since;

        if (first == 0 || !config.ready)
                return asked(real(fd, command, argument), fd, argument);
        result = real(fd, first, argument);
        if (!is_held(result))
                return result == 0 ? asked(0, fd, argument)
                                   : locked(real(fd, command, argument), "fcntl", fd);
        since = now_ms();
        files_lock("fcntl", fd, WIRE_LOCK_WAITING, 0);
        return waited(real(fd, command, argument), "fcntl", fd, since);
}

static bool is_lock(int command)
{
        return command == F_SETLK || command == F_OFD_SETLK || without_waiting(command) != 0;
}

static int controlled(int result, int command)
{
        if (__builtin_expect(result < 0, 0) && (command == F_DUPFD || command == F_DUPFD_CLOEXEC) &&
            errno == EMFILE)
                files_failed_bare("fcntl");
        return result;
}

/* fcntl's third argument is an int, a pointer or absent; passed on as the widest of these, which is
 * what the kernel's own interface takes. */
EXPORT int fcntl(int fd, int command, ...)
{
        va_list list;
        void *argument;

        va_start(list, command);
        argument = va_arg(list, void *);
        va_end(list);
        if (is_lock(command))
                return control_lock(REAL(fcntl), fd, command, argument);
        return controlled(REAL(fcntl)(fd, command, argument), command);
}

EXPORT int fcntl64(int fd, int command, ...)
{
        va_list list;
        void *argument;

        va_start(list, command);
        argument = va_arg(list, void *);
        va_end(list);
        if (is_lock(command))
                return control_lock(REAL(fcntl64), fd, command, argument);
        return controlled(REAL(fcntl64)(fd, command, argument), command);
}
