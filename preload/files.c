/* Failed file calls; see files.h. What is behind a failure (owner, mode, mount, free space) the
 * relay looks up outside; here only the call itself is packed and sent. */
#include "files.h"
#include "config.h"
#include "control.h"
#include "fallback.h"
#include "sys.h"

#include <limits.h>
#include <string.h>

struct file_packet {
        struct wire_file file;
        char paths[2 * PATH_MAX + 2];
};

/* Failures that stop somebody from writing. ENOENT and EEXIST answer probes, thousands in a run
 * that works, so they are not among them; EAGAIN is a lock that somebody else holds. */
static bool matters(int error, enum wire_file_intent intent)
{
        switch (error) {
        case EACCES:
        case EPERM:
        case EIO:
        case ELOOP:
        case ENOTDIR:
        case ENAMETOOLONG:
        case ESTALE:
        case EMFILE:
        case ENFILE:
                return true;
        case EROFS:
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
        case EXDEV:
        case EISDIR:
        case ETXTBSY:
        case ENOLCK:
        case EOPNOTSUPP:
                return intent != WIRE_INTENT_READ;
        default:
                return false;
        }
}

/* Write the path of a descriptor, or of the working directory, to out. Returns its length or 0. */
static size_t path_of(int dir, char *out, size_t cap)
{
        char link[32] = "/proc/self/cwd";
        long n;

        if (dir != AT_FDCWD) {
                char *at = link + 11;
                unsigned value = (unsigned)dir;
                char digits[12];
                size_t i = sizeof digits;

                if (dir < 0)
                        return 0;
                memcpy(at, "fd/", 3);
                for (digits[--i] = '\0'; value != 0 || i == sizeof digits - 1; value /= 10)
                        digits[--i] = (char)('0' + value % 10);
                memcpy(at + 3, digits + i, sizeof digits - i);
        }
        n = sys_readlink(link, out, cap);
        return n > 0 && out[0] == '/' ? (size_t)n : 0;
}

/* Write path as an absolute one, NUL-terminated. Returns its length with the NUL, or 0. */
static size_t absolute(int dir, const char *path, char *out, size_t cap)
{
        size_t used = 0, len = path != NULL ? strnlen(path, cap) : 0;

        if (path == NULL || path[0] != '/') {
                used = path_of(dir, out, cap - 2);
                if (used == 0)
                        return 0;
                if (path != NULL && len > 0)
                        out[used++] = '/';
        }
        if (len >= cap - used)
                len = cap - used - 1;
        if (len > 0)
                memcpy(out + used, path, len);
        out[used + len] = '\0';
        return used + len + 1;
}

/* Devices, sockets and /proc are not where programs keep things. */
static bool is_storage(const char *path)
{
        return strncmp(path, "/dev/", 5) != 0 && strncmp(path, "/proc/", 6) != 0 &&
               strncmp(path, "/sys/", 5) != 0;
}

void files_failed(const struct file_call *call)
{
        struct file_packet packet;
        size_t len, second = 0;
        int saved = errno;

        if (!config.ready || !matters(saved, call->intent))
                return;
        len = absolute(call->dir, call->path, packet.paths, PATH_MAX);
        if (len > 0 && call->path2 != NULL)
                second = absolute(call->dir2, call->path2, packet.paths + len, PATH_MAX);
        if (len > 0 && is_storage(packet.paths)) {
                memset(&packet.file, 0, sizeof packet.file);
                packet.file.error = saved;
                packet.file.flags = (uint32_t)call->flags;
                packet.file.intent = (uint8_t)call->intent;
                memcpy(packet.file.call, call->name,
                       strnlen(call->name, sizeof packet.file.call - 1));
                if (control_report2(WIRE_FILE, &packet.file.head, sizeof packet.file, packet.paths,
                                    len + second) < 0)
                        fallback_file(&packet.file, packet.paths);
        }
        errno = saved;
}

void files_failed_path(const char *name, int dir, const char *path)
{
        files_failed(&(struct file_call){
                .name = name, .dir = dir, .path = path, .intent = WIRE_INTENT_WRITE});
}

void files_failed_two(const char *name, int dir, const char *path, int dir2, const char *path2)
{
        files_failed(&(struct file_call){.name = name,
                                         .dir = dir,
                                         .path = path,
                                         .dir2 = dir2,
                                         .path2 = path2,
                                         .intent = WIRE_INTENT_WRITE});
}

void files_failed_open(const char *name, int dir, const char *path, int flags)
{
        bool writes = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0 ||
                      (flags & O_TMPFILE) == O_TMPFILE;

        /* Looking at a directory or through O_PATH is searching, not reading a file. */
        if (!writes && (flags & (O_DIRECTORY | O_PATH)) != 0)
                return;
        files_failed(&(struct file_call){.name = name,
                                         .dir = dir,
                                         .path = path,
                                         .flags = flags,
                                         .intent = writes ? WIRE_INTENT_WRITE : WIRE_INTENT_READ});
}

void files_failed_fd(const char *name, int fd, enum wire_file_intent intent)
{
        files_failed(&(struct file_call){.name = name, .dir = fd, .intent = intent});
}
