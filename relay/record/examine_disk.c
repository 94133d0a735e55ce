/* See examine_disk.h. */
#include "record/examine_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443 /* the same on all architectures; Linux 5.14 */
#endif

enum { QUOTA_BLOCK = 1024 }; /* unit of the limits in struct dqblk */

/* Blanks, tabs, newlines and backslashes are written as three octal digits. */
static void unescape(char *text)
{
        char *to = text;

        for (const char *from = text; *from != '\0';) {
                char digits[4] = "";

                if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
                        memcpy(digits, from + 1, 3);
                        *to++ = (char)strtol(digits, NULL, 8);
                        from += 4;
                } else {
                        *to++ = *from++;
                }
        }
        *to = '\0';
}

static bool parse(const char *line, struct examine_mount *out)
{
        const char *dash = strstr(line, " - ");
        char options[256], more[256] = "";

        if (dash == NULL ||
            sscanf(line, "%*d %*d %*s %*s %1023s %255s", out->point, options) != 2 ||
            sscanf(dash, " - %63s %*s %255s", out->type, more) < 1)
                return false;
        snprintf(out->options, sizeof out->options, "%s%s%s", options, more[0] != '\0' ? "," : "",
                 more);
        unescape(out->point);
        return true;
}

static bool is_on(const char *path, const char *point)
{
        size_t len = strlen(point);

        return strncmp(path, point, len) == 0 &&
               (len == 1 || path[len] == '/' || path[len] == '\0');
}

bool examine_mount_find(pid_t pid, const char *path, struct examine_mount *out)
{
        struct examine_mount mount;
        char name[40], line[4096];
        bool found = false;
        FILE *in;

        snprintf(name, sizeof name, "/proc/%d/mountinfo", (int)pid);
        in = fopen(name, "re");
        if (in == NULL)
                in = fopen("/proc/self/mountinfo", "re");
        if (in == NULL)
                return false;
        out->point[0] = '\0';
        /* A later mount on the same point hides the earlier one. */
        while (fgets(line, sizeof line, in) != NULL) {
                if (!parse(line, &mount) || !is_on(path, mount.point) ||
                    strlen(mount.point) < strlen(out->point))
                        continue;
                *out = mount;
                found = true;
        }
        fclose(in);
        return found;
}

static void write_space(struct event *e, const char *path)
{
        struct statvfs fs;

        if (statvfs(path, &fs) < 0)
                return;
        event_bool(e, "read_only", (fs.f_flag & ST_RDONLY) != 0);
        event_int(e, "free_bytes", (int64_t)(fs.f_bavail * fs.f_frsize));
        /* Some file systems (btrfs, overlay on it) count no inodes at all. */
        event_int(e, "free_inodes", fs.f_files == 0 ? -1 : (int64_t)fs.f_favail);
}

void examine_disk_write(struct event *e, pid_t pid, const char *path)
{
        struct examine_mount mount;

        if (examine_mount_find(pid, path, &mount)) {
                event_str(e, "mount", mount.point);
                event_str(e, "fstype", mount.type);
                event_str(e, "mount_options", mount.options);
        }
        write_space(e, path);
}

void examine_attributes_write(struct event *e, const char *path)
{
        struct statx st;

        if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MODE, &st) < 0)
                return;
        if ((st.stx_attributes & STATX_ATTR_IMMUTABLE) != 0)
                event_bool(e, "immutable", true);
        if ((st.stx_attributes & STATX_ATTR_APPEND) != 0)
                event_bool(e, "append_only", true);
}

void examine_quota_write(struct event *e, const char *path, uid_t uid)
{
        /* QCMD() of its header shifts into the sign. */
        const unsigned command = (unsigned)Q_GETQUOTA << SUBCMDSHIFT | USRQUOTA;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct dqblk quota;
        long result;

        if (fd < 0)
                return;
        result = syscall(SYS_quotactl_fd, fd, command, uid, &quota);
        close(fd);
        if (result < 0)
                return;
        event_int(e, "quota_bytes", (int64_t)quota.dqb_bhardlimit * QUOTA_BLOCK);
        event_int(e, "quota_used_bytes", (int64_t)quota.dqb_curspace);
        event_int(e, "quota_files", (int64_t)quota.dqb_ihardlimit);
        event_int(e, "quota_used_files", (int64_t)quota.dqb_curinodes);
}
