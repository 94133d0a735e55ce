/* Whose call it was, and what its ids let it do: credentials(7) from /proc/PID, path_resolution(7),
 * acl(5). Judged by hand, since the relay may be root where the program is not. */
#ifndef RECORD_EXAMINE_WHO_H
#define RECORD_EXAMINE_WHO_H

#include "record/event.h"

#include <sys/stat.h>

enum { EXAMINE_GROUPS_MAX = 64 };

struct examine_who {
        pid_t pid;
        uid_t uid;                        /* effective, as the relay's user namespace numbers it */
        gid_t groups[EXAMINE_GROUPS_MAX]; /* the effective one first */
        size_t group_count;
        bool overrides;    /* CAP_DAC_OVERRIDE */
        bool apart;        /* in a user namespace of its own: the maps below count */
        char uid_map[256]; /* of that namespace, "inside outside count" with commas between */
        int umask;         /* -1: not known */
};

/* A process that has ended already ran, most likely, as the relay does. */
void examine_who_read(struct examine_who *who, pid_t pid);

/* May it do what the lowest three bits of wanted say (rwx) with the file at path, whose stat is st?
 * Heeds an access control list. */
bool examine_who_may(const struct examine_who *who, const char *path, const struct stat *st,
                     mode_t wanted);

/* The access control list of path as text ("user::rwx,user:7:---,mask::r-x,other::---"), if it says
 * more than the mode does. Returns false if it has none. */
bool examine_acl_text(const char *path, char *out, size_t cap);

/* Fields uid, umask and uid_map. */
void examine_who_write(struct event *e, const struct examine_who *who);

/* Limits that the call ran into: descriptors for EMFILE and ENFILE, the size of a file for EFBIG.
 */
void examine_limits_write(struct event *e, pid_t pid, int error);

/* fsize_limit and fsize_hard_limit (RLIMIT_FSIZE, in bytes), each where there is one: RLIM_INFINITY
 * is none. */
void examine_size_limit_write(struct event *e, uint64_t soft, uint64_t hard);

#endif
