/* Looks at what a program ran into; see examine.h. */
#include "record/examine.h"
#include "record/examine_disk.h"
#include "record/examine_who.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

/* What there is on the way to a path. */
struct look {
        char existing[PATH_MAX]; /* the deepest existing ancestor, or the path itself */
        char blocked[PATH_MAX];  /* "": nothing is in the way */
        struct stat st;          /* of blocked, else of existing */
        bool sticky;             /* blocked may be changed by its owner only */
};

enum { READ = 4, WRITE = 2, SEARCH = 1 };

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
static bool find_unsearchable(const char *path, const struct examine_who *who, char *out,
                              struct stat *st)
{
        for (const char *slash = strchr(path + 1, '/'); slash != NULL;
             slash = strchr(slash + 1, '/')) {
                size_t len = (size_t)(slash - path);

                memcpy(out, path, len);
                out[len] = '\0';
                if (stat(out, st) < 0)
                        return false;
                if (!S_ISDIR(st->st_mode) || !examine_who_may(who, out, st, SEARCH))
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

static bool is_refusal(int error)
{
        return error == EACCES || error == EPERM;
}

/* Is the existing end of the path itself what stops the process? */
static bool end_blocks(const struct examine_who *who, const struct examine_call *call,
                       const char *path, const struct look *look)
{
        bool writes = call->intent == EXAMINE_WRITE;
        mode_t wanted = writes ? WRITE : READ;

        if ((call->error == ENOTDIR || call->error == EEXIST) && !S_ISDIR(look->st.st_mode))
                return true;
        if (!is_refusal(call->error))
                return false;
        if (call->intent == EXAMINE_EXECUTE)
                return !examine_who_may(who, look->existing, &look->st, SEARCH);
        if (strcmp(look->existing, path) == 0 && !S_ISDIR(look->st.st_mode))
                return !examine_who_may(who, look->existing, &look->st, wanted);
        return !examine_who_may(who, look->existing, &look->st, wanted | SEARCH);
}

/* The path exists and is fine by itself: its directory refuses (unlink, rename, mkdir), or leaves
 * everything to its owner (the sticky bit of /tmp, inode(7)). */
static void look_at_parent(const struct examine_who *who, struct look *look)
{
        char parent[PATH_MAX];
        struct stat st;

        strcpy(parent, look->existing);
        if (!to_parent(parent) || stat(parent, &st) < 0)
                return;
        if (!examine_who_may(who, parent, &st, WRITE | SEARCH)) {
                strcpy(look->blocked, parent);
                look->st = st;
        } else if ((st.st_mode & S_ISVTX) != 0 && st.st_uid != who->uid &&
                   look->st.st_uid != who->uid && !who->overrides) {
                strcpy(look->blocked, look->existing);
                look->sticky = true;
        }
}

static void look_at(const struct examine_who *who, const struct examine_call *call,
                    const char *path, struct look *look)
{
        struct stat st;

        look->sticky = false;
        find_existing(path, look->existing, &look->st);
        if (find_unsearchable(path, who, look->blocked, &st)) {
                look->st = st;
                return;
        }
        look->blocked[0] = '\0';
        if (end_blocks(who, call, path, look))
                strcpy(look->blocked, look->existing);
        else if (is_refusal(call->error) && call->intent == EXAMINE_WRITE)
                look_at_parent(who, look);
}

static void write_look(struct event *e, const struct examine_who *who,
                       const struct examine_call *call, const struct look *look)
{
        const char *at = look->blocked[0] != '\0' ? look->blocked : look->existing;
        char acl[512];

        event_str(e, "ancestor", look->existing);
        event_str(e, "blocked", look->blocked[0] != '\0' ? look->blocked : NULL);
        write_owner(e, &look->st);
        if (look->sticky)
                event_bool(e, "sticky", true);
        if (examine_acl_text(at, acl, sizeof acl))
                event_str(e, "acl", acl);
        if (is_refusal(call->error))
                examine_attributes_write(e, at);
        examine_disk_write(e, call->pid, look->existing);
        if (call->error == EDQUOT)
                examine_quota_write(e, look->existing, who->uid);
}

/* rename(2) and link(2) need both ends; the target is named unless only the source is refused. */
static void look_at_both(const struct examine_who *who, const struct examine_call *call,
                         struct look *look)
{
        struct look source;

        look_at(who, call, call->path2, look);
        if (look->blocked[0] != '\0' || !is_refusal(call->error))
                return;
        look_at(who, call, call->path, &source);
        if (source.blocked[0] != '\0')
                *look = source;
}

void examine_call(struct event *e, const struct examine_call *call)
{
        struct examine_mount from;
        struct examine_who who;
        struct look look;

        examine_who_read(&who, call->pid);
        examine_who_write(e, &who);
        examine_limits_write(e, call->pid, call->error);
        if (call->path == NULL)
                return;
        if (call->path2 != NULL)
                look_at_both(&who, call, &look);
        else
                look_at(&who, call, call->path, &look);
        write_look(e, &who, call, &look);
        if (call->error == EXDEV && call->path2 != NULL &&
            examine_mount_find(call->pid, call->path, &from))
                event_str(e, "mount_from", from.point);
}
