/* The file system behind a path: mount point and options, free space, quota, and the attributes
 * that forbid what the mode allows. Adds fields to an event. */
#ifndef RECORD_EXAMINE_DISK_H
#define RECORD_EXAMINE_DISK_H

#include "record/event.h"

/* One line of mountinfo, proc(5). */
struct examine_mount {
        char point[1024];
        char type[64];
        char options[512]; /* of the mount, then of the file system */
};

/* The mount that path lies on, as the process sees it. Returns false if that cannot be told. */
bool examine_mount_find(pid_t pid, const char *path, struct examine_mount *out);

/* Fields mount, fstype, mount_options, read_only, free_bytes, free_inodes. */
void examine_disk_write(struct event *e, pid_t pid, const char *path);

/* Fields immutable and append_only, if path has them. */
void examine_attributes_write(struct event *e, const char *path);

/* Fields quota_bytes, quota_used_bytes, quota_files, quota_used_files: of uid where path lies, as
 * quotactl_fd(2) tells. */
void examine_quota_write(struct event *e, const char *path, uid_t uid);

#endif
