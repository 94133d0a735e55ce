/* See probe.h. */
#include "cli/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int refused(struct probe *out, int error, const char *call, const char *path)
{
        out->error = error;
        out->call = call;
        snprintf(out->path, sizeof out->path, "%s", path);
        return error;
}

static bool to_parent(char *path)
{
        char *slash = strrchr(path, '/');

        if (slash == NULL || path[1] == '\0')
                return false;
        slash[slash == path ? 1 : 0] = '\0';
        return true;
}

/* A file without a name, or where the file system has none such, one that is removed at once. */
static int make_file(const char *dir)
{
        char path[PATH_MAX];
        int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
                return fd;
        snprintf(path, sizeof path, "%.*s/.XXXXXX", PATH_MAX - 16, dir);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
                unlink(path);
        return fd;
}

/* Space is given when the file is written, by some file systems only when it is closed or synced.
 */
static int try_writing(int fd)
{
        static const char block[PROBE_WRITE_BYTES];
        int error = 0;

        if (write(fd, block, sizeof block) != (ssize_t)sizeof block)
                error = errno != 0 ? errno : ENOSPC;
        else if (fdatasync(fd) < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
                error = errno;
        if (close(fd) < 0 && error == 0 && errno != EINTR)
                error = errno;
        return error;
}

static int probe_existing(const char *dir, struct probe *out)
{
        int fd = make_file(dir), error;

        if (fd < 0)
                return refused(out, errno, "open", dir);
        errno = 0;
        error = try_writing(fd);
        if (error != 0)
                return refused(out, error, "write", dir);
        if (faccessat(AT_FDCWD, dir, R_OK, AT_EACCESS) < 0) {
                out->reads = true;
                return refused(out, errno, "access", dir);
        }
        return 0;
}

static void measure(const char *existing, struct probe *out)
{
        struct statvfs fs;

        if (statvfs(existing, &fs) < 0)
                return;
        out->free_bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
        out->free_inodes = fs.f_files == 0 ? -1 : (int64_t)fs.f_favail;
}

/* What the first mkdir(2) on the way would meet. */
static int probe_missing(const char *dir, struct probe *out)
{
        char existing[PATH_MAX];
        struct stat st;

        snprintf(existing, sizeof existing, "%s", dir);
        while (stat(existing, &st) < 0) {
                if (errno == EACCES || errno == ELOOP)
                        return refused(out, errno, "mkdir", dir);
                if (!to_parent(existing))
                        return refused(out, errno, "mkdir", dir);
        }
        measure(existing, out);
        if (!S_ISDIR(st.st_mode))
                return refused(out, ENOTDIR, "mkdir", dir);
        if (faccessat(AT_FDCWD, existing, W_OK | X_OK, AT_EACCESS) < 0)
                return refused(out, errno, "mkdir", dir);
        return out->free_inodes == 0 ? refused(out, ENOSPC, "mkdir", dir) : 0;
}

struct walk {
        struct probe *out;
        const char *const *ignored; /* NULL: none */
        int left;                   /* entries */
};

static int walk(struct walk *w, const char *dir, int depth);

/* Directories must let us in and write, files that are there must be ours to read. */
static int look_at_entry(struct walk *w, const char *path, int depth)
{
        struct stat st;

        if (lstat(path, &st) < 0)
                return 0;
        if (S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0) {
                w->out->reads = true;
                return refused(w->out, errno, "open", path);
        }
        if (!S_ISDIR(st.st_mode))
                return 0;
        if (faccessat(AT_FDCWD, path, R_OK | X_OK, AT_EACCESS) < 0) {
                w->out->reads = true;
                return refused(w->out, errno, "open", path);
        }
        /* A directory of our own without the right to write was made so by the tool (Go does). */
        if (st.st_uid != geteuid() && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
                return refused(w->out, errno, "mkdir", path);
        return depth < PROBE_DEPTH_MAX ? walk(w, path, depth + 1) : 0;
}

static bool is_passed_over(const struct walk *w, const char *name, int depth)
{
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return true;
        for (size_t i = 0; depth == 1 && w->ignored != NULL && w->ignored[i] != NULL; i++)
                if (strcmp(name, w->ignored[i]) == 0)
                        return true;
        return false;
}

static int walk(struct walk *w, const char *dir, int depth)
{
        const struct dirent *entry;
        DIR *list = opendir(dir);
        char path[PATH_MAX];
        int error = 0;

        while (list != NULL && error == 0 && w->left-- > 0 && (entry = readdir(list)) != NULL) {
                if (is_passed_over(w, entry->d_name, depth) ||
                    strlen(dir) + strlen(entry->d_name) + 2 > sizeof path)
                        continue;
                strcpy(stpcpy(stpcpy(path, dir), "/"), entry->d_name);
                error = look_at_entry(w, path, depth);
        }
        if (list != NULL)
                closedir(list);
        return error;
}

int probe_directory_itself(const char *dir, struct probe *out)
{
        struct stat st;

        *out = (struct probe){.free_bytes = -1, .free_inodes = -1};
        if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
                return probe_missing(dir, out);
        out->exists = true;
        measure(dir, out);
        return probe_existing(dir, out);
}

int probe_directory(const char *dir, const char *const ignored[], struct probe *out)
{
        struct walk w = {out, ignored, PROBE_ENTRIES_MAX};

        if (probe_directory_itself(dir, out) != 0 || !out->exists)
                return out->error;
        return walk(&w, dir, 1);
}
