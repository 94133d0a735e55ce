/* Failed file calls; see files.h. What is behind a failure (owner, mode, mount, free space) the
 * relay looks up outside; here only the call itself is packed and sent. */
#include "files.h"
#include "config.h"
#include "control.h"
#include "fallback.h"
#include "files_fold.h"
#include "files_pending.h"
#include "sys.h"
#include "text.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { FOLD_MOST = 8, FOLD_MS = 50 }; /* so many equal failures in this time are told one by one */

/* The kernel's answer to a lock on a file system that has none (NFS, some FUSE); not in errno.h. */
enum { ENOTSUPP_KERNEL = 524 };

/* Failures that stop somebody from writing. ENOENT and EEXIST answer probes, thousands in a run
 * that works: files_ends_write() tells which of them do. EAGAIN is a lock that somebody else holds.
 */
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
        case ENOENT:
        case EEXIST:
                return intent != WIRE_INTENT_READ;
        case ENOSYS:
        case ENOTSUPP_KERNEL:
                return intent == WIRE_INTENT_LOCK;
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
        size_t used = 0, len = path != NULL ? strlen(path) : 0;

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

size_t files_fd_path(int fd, char *out, size_t cap)
{
        size_t len = absolute(fd, NULL, out, cap);

        return len > 0 && is_storage(out) ? len : 0;
}

bool files_is_temporary(const char *path)
{
        size_t len = strlen(config.temp);

        while (len > 0 && config.temp[len - 1] == '/')
                len--;
        return len > 0 && strncmp(path, config.temp, len) == 0 && path[len] == '/' &&
               strchr(path + len + 1, '/') == NULL;
}

mode_t files_type_at(int dir, const char *path)
{
        struct stat st;
        long result =
                sys6(SYS_newfstatat, dir, SYS_LONG(path), SYS_LONG(&st), AT_SYMLINK_NOFOLLOW, 0, 0);

        return result == 0 ? st.st_mode & S_IFMT : 0;
}

/* "index.lock", ".package-lock" and the like: made with O_EXCL, their presence is the lock. */
static bool is_lock_name(const char *path)
{
        const char *name = text_base(path);

        return memmem(name, strlen(name), "lock", strlen("lock")) != NULL;
}

bool files_ends_write(const struct file_call *call)
{
        if (call->path == NULL)
                return false;
        if (errno == EEXIST && (call->flags & O_EXCL) != 0)
                return is_lock_name(call->path);
        if (errno == EEXIST)
                return strncmp(call->name, "mkdir", 5) == 0 &&
                       files_type_at(call->dir, call->path) == S_IFREG;
        /* Of a call with two paths: is the first there, then the second one's directory is not. */
        return call->path2 == NULL || files_type_at(call->dir, call->path) != 0;
}

static void send_file(const struct file_call *call, struct file_packet *packet, size_t paths_len,
                      int error)
{
        struct files_fold fold = {call->name, error, packet->paths, paths_len, FOLD_MOST, FOLD_MS};
        struct wire_file *file = &packet->file;

        memset(file, 0, sizeof *file);
        file->error = error;
        file->flags = (uint32_t)call->flags;
        file->intent = (uint8_t)call->intent;
        memcpy(file->call, call->name, text_len(call->name, sizeof file->call - 1));
        if (!files_fold(&fold, &file->folded))
                return;
        if (error == EMFILE || error == ENFILE)
                files_pending_keep(packet, paths_len);
        else if (control_report2(WIRE_FILE, &file->head, sizeof *file, packet->paths, paths_len) <
                 0)
                fallback_file(file, packet->paths);
}

void files_failed(const struct file_call *call)
{
        struct file_packet packet;
        size_t len, second = 0;
        int saved = errno;

        if (!config.ready || !matters(saved, call->intent))
                return;
        if ((saved == ENOENT || saved == EEXIST) && !files_ends_write(call))
                goto out;
        len = absolute(call->dir, call->path, packet.paths, PATH_MAX);
        if (len > 0 && call->path2 != NULL)
                second = absolute(call->dir2, call->path2, packet.paths + len, PATH_MAX);
        if (len > 0 && is_storage(packet.paths))
                send_file(call, &packet, len + second, saved);
out:
        errno = saved;
}

void files_failed_bare(const char *name)
{
        struct file_call call = {.name = name, .intent = WIRE_INTENT_WRITE};
        struct file_packet packet;
        int saved = errno;

        if (!config.ready || !matters(saved, WIRE_INTENT_WRITE))
                return;
        packet.paths[0] = '\0';
        send_file(&call, &packet, 1, saved);
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
        bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;

        /* Looking at a directory or through O_PATH is searching, not reading a file. */
        if (!writes && (flags & (O_DIRECTORY | O_PATH)) != 0)
                return;
        if (errno == ENOENT && !makes)
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
