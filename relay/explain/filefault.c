/* Failed file calls gathered by cause: see filefault.h. Programs probe and fail all the time; what
 * is kept lies in a package manager's cache, or says that a disk is full. */
#include "explain/filefault.h"
#include "explain/temporary.h"

#include <stdlib.h>
#include <string.h>

enum { MODE_OWNER_WRITE = 0200, BLOCK_BYTES = 4096 };

/* Where a failed call was. */
struct place {
        const struct tool_root *root;
        size_t root_len; /* of the path; 0: no cache */
        bool harmless;
        bool in_home, in_temp; /* where it is no cache */
};

/* Calls that need no new inode: on ENOSPC they speak of blocks. */
static const char *const data_calls[] = {
        "write",       "pwrite",          "pwrite64",  "writev",          "pwritev",  "ftruncate",
        "ftruncate64", "posix_fallocate", "fallocate", "copy_file_range", "sendfile", "fwrite",
};

/* With these a tool begins to make its cache, or asks whether it could, far above it. */
static const char *const making_calls[] = {"mkdir",      "mkdirat",    "access", "faccessat",
                                           "faccessat2", "euidaccess", "eaccess"};

static const char *const giving_calls[] = {"chown", "lchown", "fchown", "fchownat"};

/* Filesystems that have no fixed number of inodes and report none free. */
static const char *const no_inode_count[] = {"btrfs", "vfat", "msdos", "exfat", "fuse", "9p"};

/* Errors of reading, and of writing, that are the directory's or the disk's and not the program's.
 */
static const char *const read_errnos[] = {"EACCES", "EPERM",  "EIO",
                                          "ELOOP",  "ESTALE", "ENAMETOOLONG"};
static const char *const write_errnos[] = {"EIO", "ELOOP", "ESTALE", "ENAMETOOLONG"};

/* The kernel's refusals, as distinct from faults: of the directory or of the file system. */
static const char *const refusal_errnos[] = {"EACCES", "EPERM", "EROFS"};

/* With these a file system says that it has no locks; 524 is the kernel's own, of NFS and FUSE. */
static const char *const no_lock_errnos[] = {"ENOLCK", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "E524"};

#define IN_LIST(event, key, list) in_list(event, key, list, sizeof(list) / sizeof((list)[0]))

static bool in_list(const json_t *event, const char *key, const char *const *list, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (event_field_is(event, key, list[i]))
                        return true;
        return false;
}

static bool is_space(const json_t *event)
{
        return event_field_is(event, "errno", "ENOSPC") || event_field_is(event, "errno", "EDQUOT");
}

const char *filefault_at(const json_t *event)
{
        const char *at = event_get_str(event, "blocked");

        at = at != NULL ? at : event_get_str(event, "ancestor");
        at = at != NULL ? at : event_get_str(event, "path");
        return at != NULL ? at : ""; /* descriptors that run out have no path */
}

/* In the tool's cache; or about to make it; or in something called a cache, where a known tool
 * writes (a configuration file may have moved it). */
static struct place place_of(const struct facts *facts, const struct file_fault *fault,
                             const char *path)
{
        struct place place = {0};

        if (path == NULL || path[0] != '/')
                return place;
        place.root = tools_root_of(&facts->tools, fault->tool, path);
        if (place.root != NULL) {
                place.root_len = strlen(place.root->path);
                place.harmless = tools_is_harmless(place.root, path);
                return place;
        }
        place.in_home = tools_is_in_home(&facts->tools, path);
        place.in_temp = tools_is_temporary(&facts->tools, path);
        if (IN_LIST(fault->event, "call", making_calls))
                place.root = tools_root_below(&facts->tools, fault->tool, path);
        place.root_len = place.root != NULL    ? strlen(path)
                         : fault->tool != NULL ? tools_cache_like_len(&facts->tools, path)
                                               : 0;
        return place;
}

/* An existing file of another user; or a directory of another user, in the cache, into which that
 * user could write: left behind by sudo. A directory that nobody may write, or one above the cache,
 * is a matter of permissions. */
static bool is_of_other_user(const struct facts *facts, const json_t *event,
                             const struct place *place, const char *path)
{
        int64_t owner = event_get_int(event, "owner", -1), uid = event_get_int(event, "uid", -1);
        const char *mode = event_get_str(event, "mode"), *at = filefault_at(event);

        if (owner < 0 || uid < 0 || owner == uid)
                return false;
        if (event_field_is(event, "type", "file"))
                return true;
        if (mode != NULL && (strtol(mode, NULL, 8) & MODE_OWNER_WRITE) == 0)
                return false;
        if (place->root != NULL) /* one of a tool's directories may lie in another one */
                return tools_root_of(&facts->tools, place->root->tool, at) != NULL;
        return strlen(at) >= place->root_len && strncmp(at, path, place->root_len) == 0;
}

static enum finding_code space_code(const json_t *event)
{
        if (event_field_is(event, "errno", "EDQUOT"))
                return FINDING_QUOTA_EXCEEDED;
        if (IN_LIST(event, "call", data_calls) || IN_LIST(event, "fstype", no_inode_count))
                return FINDING_DISK_FULL;
        if (event_get_int(event, "free_inodes", -1) == 0 &&
            event_get_int(event, "free_bytes", 0) >= BLOCK_BYTES)
                return FINDING_INODES_EXHAUSTED;
        return FINDING_DISK_FULL;
}

/* A word in "rw,nosuid,noexec". */
static bool has_option(const json_t *event, const char *wanted)
{
        const char *at = event_get_str(event, "mount_options");

        for (size_t len; at != NULL && *at != '\0'; at += len + (at[len] == ',')) {
                len = strcspn(at, ",");
                if (len == strlen(wanted) && strncmp(at, wanted, len) == 0)
                        return true;
        }
        return false;
}

/* What is wrong wherever it happens. */
static enum finding_code code_anywhere(const struct file_fault *fault, const struct place *place)
{
        const json_t *event = fault->event;
        bool ours = fault->tool != NULL || place->root_len > 0;

        if (is_space(event))
                return space_code(event);
        if (event_field_is(event, "errno", "EMFILE") || event_field_is(event, "errno", "ENFILE"))
                return FINDING_TOO_MANY_OPEN_FILES;
        if (event_field_is(event, "errno", "EFBIG"))
                return FINDING_FILE_TOO_LARGE;
        if (ours && event_field_is(event, "errno", "EXDEV"))
                return FINDING_CROSS_DEVICE_RENAME;
        if ((ours || place->in_home) && event_field_is(event, "intent", "lock") &&
            IN_LIST(event, "errno", no_lock_errnos))
                return FINDING_LOCKS_UNSUPPORTED;
        return FINDING_CODE_COUNT;
}

/* The home directory itself is what is wrong: it is not there (what exists lies above it), or it is
 * what refuses. */
static enum finding_code code_of_home(const struct facts *facts, const json_t *event,
                                      const char *path)
{
        const char *home = facts->tools.home, *ancestor = event_get_str(event, "ancestor");
        bool absent = event_field_is(event, "errno", "ENOENT");

        if (home == NULL || path == NULL || ancestor == NULL ||
            event_field_is(event, "intent", "read") ||
            !(absent || IN_LIST(event, "errno", refusal_errnos)))
                return FINDING_CODE_COUNT;
        if (text_is_below(home, ancestor) && strcmp(home, ancestor) != 0 &&
            (text_is_below(path, home) || text_is_below(home, path)))
                return FINDING_HOME_MISSING;
        if (!absent && !event_field_is(event, "errno", "EROFS") &&
            strcmp(filefault_at(event), home) == 0)
                return FINDING_HOME_NOT_WRITABLE;
        return FINDING_CODE_COUNT;
}

static enum finding_code code_of_cache(const struct facts *facts, const json_t *event,
                                       const struct place *place, const char *path)
{
        bool in_the_way = event_field_is(event, "errno", "EEXIST") &&
                          event_field_is(event, "type", "file") &&
                          IN_LIST(event, "call", making_calls);

        if (event_field_is(event, "errno", "EROFS"))
                return FINDING_READ_ONLY_FILESYSTEM;
        if (in_the_way || event_field_is(event, "errno", "ENOTDIR"))
                return FINDING_PATH_COMPONENT_NOT_A_DIRECTORY;
        if (event_field_is(event, "intent", "read"))
                return IN_LIST(event, "errno", read_errnos) ? FINDING_CACHE_NOT_READABLE
                                                            : FINDING_CODE_COUNT;
        if (event_field_is(event, "errno", "EACCES") || event_field_is(event, "errno", "EPERM"))
                return is_of_other_user(facts, event, place, path)
                               ? FINDING_CACHE_OWNED_BY_OTHER_USER
                               : FINDING_CACHE_NOT_WRITABLE;
        return IN_LIST(event, "errno", write_errnos) ? FINDING_CACHE_NOT_WRITABLE
                                                     : FINDING_CODE_COUNT;
}

/* FINDING_CODE_COUNT: no finding. */
static enum finding_code code_of(const struct facts *facts, const struct file_fault *fault,
                                 const struct place *place, const char *path)
{
        enum finding_code code = code_anywhere(fault, place);

        if (event_field_is(fault->event, "intent", "execute"))
                return has_option(fault->event, "noexec") ? FINDING_NOEXEC : FINDING_CODE_COUNT;
        /* To give files away is for root alone. */
        if (IN_LIST(fault->event, "call", giving_calls))
                return FINDING_CODE_COUNT;
        if (code == FINDING_CODE_COUNT && (place->root_len > 0 || place->in_home))
                code = code_of_home(facts, fault->event, path);
        if (code != FINDING_CODE_COUNT)
                return code;
        if (place->root_len > 0)
                return code_of_cache(facts, fault->event, place, path);
        return place->in_temp && temporary_is_broken(facts, fault) ? FINDING_TEMP_NOT_WRITABLE
                                                                   : FINDING_CODE_COUNT;
}

/* /dev/full and the like; a full /dev/shm is real. */
static bool is_device(const char *path)
{
        return (text_is_below(path, "/dev") && !text_is_below(path, "/dev/shm")) ||
               text_is_below(path, "/proc") || text_is_below(path, "/sys");
}

static struct filefault *group_of(struct filefaults *all, enum finding_code code,
                                  const struct catalogue_tool *tool, const char *mount)
{
        for (size_t i = 0; i < all->count; i++) {
                struct filefault *group = &all->groups[i];
                bool same_mount = mount == NULL ? group->mount == NULL
                                                : group->mount && strcmp(group->mount, mount) == 0;

                if (group->code == code && same_mount && (mount != NULL || group->tool == tool))
                        return group;
        }
        if (all->count == FILEFAULT_GROUPS)
                return NULL;
        all->groups[all->count] =
                (struct filefault){.code = code, .mount = mount, .tool = tool, .tried_first = true};
        return &all->groups[all->count++];
}

static void add_cache(struct filefault *group, const struct catalogue_cache *cache)
{
        for (size_t i = 0; i < group->cache_count; i++)
                if (group->caches[i] == cache)
                        return;
        if (group->cache_count < FILEFAULT_CACHES)
                group->caches[group->cache_count++] = cache;
}

/* How well a call speaks for its group: one that matters before one that does not, one in a known
 * cache before a guess, one right after an answer before an earlier probe. */
static int weight(const struct file_fault *fault, const struct place *place, bool needed)
{
        return (needed ? 8 : 0) +
               (place->root != NULL   ? 4
                : place->root_len > 0 ? 2
                                      : 0) +
               (fault->answer != NULL ? 1 : 0);
}

static void add_fault(struct filefault *group, const struct file_fault *fault,
                      const struct place *place, bool needed)
{
        const struct process *p = fault->process;
        int64_t folded = event_get_int(fault->event, "count", 0);
        int weighs = weight(fault, place, needed);

        if (group->first == NULL || weighs > group->weight) {
                group->weight = weighs;
                group->first = fault;
                group->root = place->root;
                group->root_len = place->root_len;
                group->tool = place->root != NULL ? place->root->tool : fault->tool;
        }
        if (place->root != NULL && place->root->tool == group->tool)
                add_cache(group, place->root->cache);
        group->count += 1 + (size_t)(folded > 0 ? folded : 0);
        group->last = fault->event;
        group->needed = group->needed || needed;
        group->unconnected = group->unconnected || p == NULL || p->connects == 0;
        group->tried_first = group->tried_first &&
                             (p == NULL || p->answers > 0 || p->connects + p->lookups == 0);
}

static bool is_of_filesystem(enum finding_code code)
{
        return (FINDING_BIT(code) &
                (FINDING_BIT(FINDING_READ_ONLY_FILESYSTEM) | FINDING_BIT(FINDING_DISK_FULL) |
                 FINDING_BIT(FINDING_INODES_EXHAUSTED) | FINDING_BIT(FINDING_QUOTA_EXCEEDED) |
                 FINDING_BIT(FINDING_LOCKS_UNSUPPORTED) | FINDING_BIT(FINDING_NOEXEC) |
                 FINDING_BIT(FINDING_CROSS_DEVICE_RENAME))) != 0;
}

/* Can the tool not do without? Outside of caches nobody knows. */
static bool is_needed(const json_t *event, enum finding_code code, const struct place *place)
{
        if (is_space(event) || code == FINDING_FILE_TOO_LARGE || code == FINDING_NOEXEC ||
            code == FINDING_LOCKS_UNSUPPORTED)
                return true;
        if (code == FINDING_TOO_MANY_OPEN_FILES || code == FINDING_CROSS_DEVICE_RENAME)
                return false;
        /* Where the cache itself is a file, nothing in it can be had. */
        if (code == FINDING_PATH_COMPONENT_NOT_A_DIRECTORY && place->root != NULL &&
            text_is_below(place->root->path, filefault_at(event)))
                return !place->root->cache->optional;
        return place->root_len > 0 && !place->harmless &&
               !(place->root != NULL && place->root->cache->optional);
}

static void take(const struct facts *facts, const struct file_fault *fault, struct filefaults *out)
{
        const char *path = event_get_str(fault->event, "path");
        const char *mount = event_get_str(fault->event, "mount");
        struct place place = place_of(facts, fault, path), second = {0};
        const struct catalogue_tool *tool;
        struct filefault *group;
        enum finding_code code;

        if (path != NULL && is_device(path))
                return;
        if (place.root_len == 0)
                second = place_of(facts, fault, event_get_str(fault->event, "path2"));
        if (second.root_len > 0) {
                path = event_get_str(fault->event, "path2");
                place = second;
        }
        code = code_of(facts, fault, &place, path);
        /* Only descriptors that run out have no path. */
        if (code == FINDING_CODE_COUNT || (path == NULL && code != FINDING_TOO_MANY_OPEN_FILES))
                return;
        tool = place.root != NULL ? place.root->tool : fault->tool;
        group = group_of(out, code, tool,
                         is_of_filesystem(code) ? (mount != NULL ? mount : "/") : NULL);
        if (group != NULL)
                add_fault(group, fault, &place, is_needed(fault->event, code, &place));
}

void filefault_gather(const struct facts *facts, struct filefaults *out)
{
        *out = (struct filefaults){0};
        for (size_t i = 0; i < facts->fault_count; i++)
                take(facts, &facts->faults[i], out);
}

const char *filefault_blocked(const struct filefault *group)
{
        return filefault_at(group->first->event);
}

bool filefault_is_file(const struct filefault *group)
{
        return event_field_is(group->first->event, "type", "file");
}

char *filefault_root(const struct filefault *group)
{
        const char *path = event_get_str(group->first->event, "path");

        if (group->root != NULL)
                return strdup(group->root->path);
        return group->root_len > 0 ? strndup(path, group->root_len) : NULL;
}
