/* See examine_who.h. */
#include "record/examine_who.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { CAP_DAC_OVERRIDE_BIT = 1 }; /* linux/capability.h */

/* linux/posix_acl_xattr.h: little-endian, a version and then the entries in canonical order. */
enum { ACL_VERSION = 2, ACL_ENTRIES_MAX = 64 };
enum acl_tag {
        ACL_OWNER = 1,
        ACL_NAMED_USER = 2,
        ACL_OWNING_GROUP = 4,
        ACL_NAMED_GROUP = 8,
        ACL_MASK = 16,
        ACL_OTHER = 32
};

struct acl_entry {
        uint16_t tag, allowed;
        uint32_t id;
};

struct acl {
        struct acl_entry entries[ACL_ENTRIES_MAX];
        size_t count;
};

static void read_groups(struct examine_who *who, const char *text)
{
        char *end;

        while (who->group_count < EXAMINE_GROUPS_MAX) {
                unsigned long gid = strtoul(text, &end, 10);

                if (end == text)
                        return;
                who->groups[who->group_count++] = (gid_t)gid;
                text = end;
        }
}

static FILE *open_proc(pid_t pid, const char *name)
{
        char path[64];

        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
        return fopen(path, "re");
}

static void read_status(struct examine_who *who, FILE *in)
{
        unsigned long long capabilities;
        unsigned euid, egid, mask;
        char line[1024];

        while (fgets(line, sizeof line, in) != NULL) {
                if (sscanf(line, "Uid: %*u %u", &euid) == 1)
                        who->uid = euid;
                else if (sscanf(line, "Gid: %*u %u", &egid) == 1)
                        who->groups[0] = egid;
                else if (strncmp(line, "Groups:", 7) == 0)
                        read_groups(who, line + 7);
                else if (sscanf(line, "Umask: %o", &mask) == 1)
                        who->umask = (int)mask;
                else if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
                        who->overrides = (capabilities >> CAP_DAC_OVERRIDE_BIT & 1) != 0;
        }
}

/* The map of the first namespace of all covers every id in one line. */
static void read_map(struct examine_who *who, FILE *in)
{
        unsigned inside, outside, count;
        size_t used = 0;
        char line[128];

        while (fgets(line, sizeof line, in) != NULL &&
               sscanf(line, "%u %u %u", &inside, &outside, &count) == 3) {
                int n = snprintf(who->uid_map + used, sizeof who->uid_map - used, "%s%u %u %u",
                                 used > 0 ? "," : "", inside, outside, count);

                if (inside == 0 && outside == 0 && count == UINT32_MAX)
                        return;
                if (n < 0 || (size_t)n >= sizeof who->uid_map - used)
                        break;
                used += (size_t)n;
        }
        who->apart = used > 0;
}

void examine_who_read(struct examine_who *who, pid_t pid)
{
        FILE *in;

        *who = (struct examine_who){.pid = pid,
                                    .uid = geteuid(),
                                    .groups = {getegid()},
                                    .group_count = 1,
                                    .overrides = geteuid() == 0,
                                    .umask = -1};
        in = open_proc(pid, "status");
        if (in != NULL) {
                read_status(who, in);
                fclose(in);
        }
        in = open_proc(pid, "uid_map");
        if (in != NULL) {
                read_map(who, in);
                fclose(in);
        }
}

static bool in_group(const struct examine_who *who, gid_t gid)
{
        for (size_t i = 0; i < who->group_count; i++)
                if (who->groups[i] == gid)
                        return true;
        return false;
}

/* user_namespaces(7): a capability counts only for files whose owner has a number in there. */
static bool is_mapped(const struct examine_who *who, uid_t uid)
{
        unsigned inside, outside, count;

        if (!who->apart)
                return true;
        for (const char *at = who->uid_map; at != NULL; at = strchr(at, ',')) {
                at += *at == ',';
                if (sscanf(at, "%u %u %u", &inside, &outside, &count) == 3 && uid >= outside &&
                    uid - outside < count)
                        return true;
        }
        return false;
}

static bool read_acl(const char *path, struct acl *acl)
{
        char data[4 + ACL_ENTRIES_MAX * 8];
        ssize_t len = getxattr(path, "system.posix_acl_access", data, sizeof data);
        uint32_t version;

        if (len < 4)
                return false;
        memcpy(&version, data, 4);
        if (le32toh(version) != ACL_VERSION)
                return false;
        acl->count = ((size_t)len - 4) / 8;
        for (size_t i = 0; i < acl->count; i++) {
                struct acl_entry *entry = &acl->entries[i];

                memcpy(entry, data + 4 + 8 * i, 8);
                *entry = (struct acl_entry){le16toh(entry->tag), le16toh(entry->allowed),
                                            le32toh(entry->id)};
        }
        return acl->count > 3; /* owner, group, other: the mode says it all */
}

/* acl(5), "access check algorithm". The mask bounds all but owner and other. */
static bool acl_grants(const struct acl *acl, const struct examine_who *who, const struct stat *st,
                       mode_t wanted)
{
        mode_t mask = 7, other = 0;
        bool in_a_group = false;

        for (size_t i = 0; i < acl->count; i++)
                if (acl->entries[i].tag == ACL_MASK)
                        mask = acl->entries[i].allowed;
        for (size_t i = 0; i < acl->count; i++) {
                const struct acl_entry *entry = &acl->entries[i];
                bool group = (entry->tag == ACL_OWNING_GROUP && in_group(who, st->st_gid)) ||
                             (entry->tag == ACL_NAMED_GROUP && in_group(who, entry->id));

                if (entry->tag == ACL_OWNER && st->st_uid == who->uid)
                        return (entry->allowed & wanted) == wanted;
                if (entry->tag == ACL_NAMED_USER && entry->id == who->uid)
                        return (entry->allowed & mask & wanted) == wanted;
                if (group && (entry->allowed & mask & wanted) == wanted)
                        return true;
                in_a_group = in_a_group || group;
                other = entry->tag == ACL_OTHER ? entry->allowed : other;
        }
        return !in_a_group && (other & wanted) == wanted;
}

bool examine_who_may(const struct examine_who *who, const char *path, const struct stat *st,
                     mode_t wanted)
{
        struct acl acl;
        mode_t granted;

        if (who->overrides && is_mapped(who, st->st_uid))
                return true;
        if (read_acl(path, &acl))
                return acl_grants(&acl, who, st, wanted);
        granted = st->st_uid == who->uid      ? st->st_mode >> 6
                  : in_group(who, st->st_gid) ? st->st_mode >> 3
                                              : st->st_mode;
        return (granted & wanted) == wanted;
}

static const char *tag_name(unsigned tag)
{
        return tag == ACL_OWNER || tag == ACL_NAMED_USER           ? "user"
               : tag == ACL_OWNING_GROUP || tag == ACL_NAMED_GROUP ? "group"
               : tag == ACL_MASK                                   ? "mask"
                                                                   : "other";
}

bool examine_acl_text(const char *path, char *out, size_t cap)
{
        struct acl acl;
        size_t used = 0;

        if (!read_acl(path, &acl))
                return false;
        for (size_t i = 0; i < acl.count && used + 1 < cap; i++) {
                const struct acl_entry *entry = &acl.entries[i];
                char id[16] = "";

                if (entry->tag == ACL_NAMED_USER || entry->tag == ACL_NAMED_GROUP)
                        snprintf(id, sizeof id, "%u", entry->id);
                used += (size_t)snprintf(out + used, cap - used, "%s%s:%s:%c%c%c", i > 0 ? "," : "",
                                         tag_name(entry->tag), id, entry->allowed & 4 ? 'r' : '-',
                                         entry->allowed & 2 ? 'w' : '-',
                                         entry->allowed & 1 ? 'x' : '-');
        }
        return true;
}

void examine_who_write(struct event *e, const struct examine_who *who)
{
        char mask[8];

        event_int(e, "uid", who->uid);
        if (who->umask >= 0) {
                snprintf(mask, sizeof mask, "%04o", (unsigned)who->umask & 07777u);
                event_str(e, "umask", mask);
        }
        if (who->apart)
                event_str(e, "uid_map", who->uid_map);
}

static void write_limit(struct event *e, pid_t pid, const char *key,
                        enum __rlimit_resource resource)
{
        struct rlimit limit;

        if (prlimit(pid, resource, NULL, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
                event_int(e, key, (int64_t)limit.rlim_cur);
}

void examine_size_limit_write(struct event *e, uint64_t soft, uint64_t hard)
{
        if (soft > INT64_MAX)
                return;
        event_int(e, "fsize_limit", (int64_t)soft);
        if (hard <= INT64_MAX)
                event_int(e, "fsize_hard_limit", (int64_t)hard);
}

static void write_open_files(struct event *e, pid_t pid)
{
        char path[40];
        int64_t count = 0;
        DIR *list;

        snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
        list = opendir(path);
        if (list == NULL)
                return;
        for (const struct dirent *entry; (entry = readdir(list)) != NULL;)
                count += entry->d_name[0] != '.';
        closedir(list);
        event_int(e, "open_files", count);
}

void examine_limits_write(struct event *e, pid_t pid, int error)
{
        struct rlimit limit;

        if (error == EFBIG && prlimit(pid, RLIMIT_FSIZE, NULL, &limit) == 0)
                examine_size_limit_write(e, limit.rlim_cur, limit.rlim_max);
        if (error != EMFILE && error != ENFILE)
                return;
        write_limit(e, pid, "nofile_limit", RLIMIT_NOFILE);
        write_open_files(e, pid);
}
