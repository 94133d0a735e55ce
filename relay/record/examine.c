/* Looks at what a program ran into; see examine.h. Judged by mode bits and the process's own ids,
 * since the relay may be root where the program is not. */
#include "record/examine.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { GROUPS_MAX = 64 };

/* Whose call it was (credentials(7), from /proc/PID/status). */
struct ids {
        uid_t uid;
        gid_t groups[GROUPS_MAX]; /* the effective one first */
        size_t group_count;
};

static void read_groups(struct ids *ids, const char *text)
{
        char *end;

        while (ids->group_count < GROUPS_MAX) {
                unsigned long gid = strtoul(text, &end, 10);

                if (end == text)
                        return;
                ids->groups[ids->group_count++] = (gid_t)gid;
                text = end;
        }
}

/* A process that has ended already ran, most likely, as the relay does. */
static void read_ids(pid_t pid, struct ids *ids)
{
        char path[40], line[1024];
        unsigned euid, egid;
        FILE *in;

        *ids = (struct ids){.uid = geteuid(), .groups = {getegid()}, .group_count = 1};
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        in = fopen(path, "re");
        while (in != NULL && fgets(line, sizeof line, in) != NULL) {
                if (sscanf(line, "Uid: %*u %u", &euid) == 1)
                        ids->uid = euid;
                else if (sscanf(line, "Gid: %*u %u", &egid) == 1)
                        ids->groups[0] = egid;
                else if (strncmp(line, "Groups:", 7) == 0)
                        read_groups(ids, line + 7);
        }
        if (in != NULL)
                fclose(in);
}

static bool in_group(const struct ids *ids, gid_t gid)
{
        for (size_t i = 0; i < ids->group_count; i++)
                if (ids->groups[i] == gid)
                        return true;
        return false;
}

/* path_resolution(7): which of the three rwx sets applies. wanted is in the lowest bits. */
static bool may(const struct ids *ids, const struct stat *st, mode_t wanted)
{
        mode_t granted = st->st_uid == ids->uid      ? st->st_mode >> 6
                         : in_group(ids, st->st_gid) ? st->st_mode >> 3
                                                     : st->st_mode;

        return ids->uid == 0 || (granted & wanted) == wanted;
}

/* Cut the last component off. Returns false when path is "/". */
static bool to_parent(char *path)
{
        char *slash = strrchr(path, '/');

        if (slash == NULL || path[1] == '\0')
                return false;
        slash[slash == path ? 1 : 0] = '\0';
        return true;
}

/* Find the first directory from the root that the process cannot search. Returns true and leaves it
 * in out. */
static bool find_unsearchable(const char *path, const struct ids *ids, char *out, struct stat *st)
{
        for (const char *slash = strchr(path + 1, '/'); slash != NULL;
             slash = strchr(slash + 1, '/')) {
                size_t len = (size_t)(slash - path);

                memcpy(out, path, len);
                out[len] = '\0';
                if (stat(out, st) < 0)
                        return false;
                if (!S_ISDIR(st->st_mode) || !may(ids, st, 1))
                        return true;
        }
        return false;
}

/* The deepest existing ancestor of path, or path itself; never fails ("/" exists). */
static void find_existing(const char *path, char *out, struct stat *st)
{
        snprintf(out, PATH_MAX, "%s", path);
        while (lstat(out, st) < 0 && to_parent(out))
                ;
}

static const char *type_of(const struct stat *st)
{
        return S_ISDIR(st->st_mode)   ? "directory"
               : S_ISREG(st->st_mode) ? "file"
               : S_ISLNK(st->st_mode) ? "link"
                                      : "other";
}

static void write_owner(struct event *e, const struct stat *st)
{
        char mode[8], buffer[1024];
        struct passwd entry, *found = NULL;

        event_int(e, "owner", st->st_uid);
        event_int(e, "group", st->st_gid);
        if (getpwuid_r(st->st_uid, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL)
                event_str(e, "owner_name", entry.pw_name);
        snprintf(mode, sizeof mode, "%04o", st->st_mode & 07777u);
        event_str(e, "mode", mode);
        event_str(e, "type", type_of(st));
}

/* The longest mount point that is a prefix of path, from mountinfo (proc(5)). */
static void write_mount(struct event *e, const char *path)
{
        char line[4096], mount[1024], best[1024] = "", type[64], best_type[64] = "";
        FILE *in = fopen("/proc/self/mountinfo", "re");

        while (in != NULL && fgets(line, sizeof line, in) != NULL) {
                const char *dash = strstr(line, " - ");
                size_t len;

                if (dash == NULL || sscanf(line, "%*d %*d %*s %*s %1023s", mount) != 1 ||
                    sscanf(dash, " - %63s", type) != 1)
                        continue;
                len = strlen(mount);
                if (strncmp(path, mount, len) != 0 ||
                    (len > 1 && path[len] != '/' && path[len] != '\0') || len < strlen(best))
                        continue;
                strcpy(best, mount);
                strcpy(best_type, type);
        }
        if (in != NULL)
                fclose(in);
        event_str(e, "mount", best[0] != '\0' ? best : NULL);
        event_str(e, "fstype", best_type[0] != '\0' ? best_type : NULL);
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

/* Is the existing end of the path itself what stops the process? */
static bool end_blocks(const struct ids *ids, const struct stat *st, bool is_path, int error,
                       bool writes)
{
        if (error == ENOTDIR && !S_ISDIR(st->st_mode))
                return true;
        if (error != EACCES && error != EPERM)
                return false;
        if (is_path && !S_ISDIR(st->st_mode))
                return !may(ids, st, writes ? 2 : 4);
        return !may(ids, st, writes ? 3 : 5);
}

void examine_path(struct event *e, pid_t pid, const char *path, int error, bool writes)
{
        char existing[PATH_MAX], blocked[PATH_MAX] = "", parent[PATH_MAX];
        struct stat st, blocked_st, parent_st;
        struct ids ids;

        read_ids(pid, &ids);
        event_int(e, "uid", ids.uid);
        find_existing(path, existing, &st);
        if (find_unsearchable(path, &ids, blocked, &blocked_st)) {
                /* found on the way */
        } else if (end_blocks(&ids, &st, strcmp(existing, path) == 0, error, writes)) {
                strcpy(blocked, existing);
                blocked_st = st;
        } else {
                /* The path exists and is fine by itself: its directory refuses (unlink, rename,
                 * mkdir). */
                strcpy(parent, existing);
                blocked[0] = '\0';
                if ((error == EACCES || error == EPERM) && writes && to_parent(parent) &&
                    stat(parent, &parent_st) == 0 && !may(&ids, &parent_st, 3)) {
                        strcpy(blocked, parent);
                        blocked_st = parent_st;
                }
        }
        event_str(e, "ancestor", existing);
        event_str(e, "blocked", blocked[0] != '\0' ? blocked : NULL);
        write_owner(e, blocked[0] != '\0' ? &blocked_st : &st);
        write_mount(e, existing);
        write_space(e, existing);
}
