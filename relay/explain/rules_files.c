/* Rules about files. A failed call in a package manager's cache is the cause of a failed run if the
 * tool cannot do without the file and the network did not stop it before: its process was answered,
 * or never got as far as to ask. Otherwise it is at most a warning behind the network's fault. */
#include "explain/filefault.h"
#include "explain/temporary.h"

#include <stdlib.h>
#include <string.h>

static const char *title(const struct filefault *group)
{
        return group->tool != NULL ? group->tool->title : "The program";
}

/* "root" or "uid 12". Caller owns. */
static char *owner_of(const json_t *event)
{
        const char *name = event_get_str(event, "owner_name");

        return name != NULL ? text_format("%s", name)
                            : text_format("uid %lld", (long long)event_get_int(event, "owner", -1));
}

/* What the mode does not tell: chattr(1), access control lists. Static. */
static const char *special(const json_t *event)
{
        if (event_get_bool(event, "immutable", false))
                return ", immutable (chattr +i)";
        if (event_get_bool(event, "append_only", false))
                return ", append-only (chattr +a)";
        if (event_get_str(event, "acl") != NULL)
                return ", with an access control list (getfacl)";
        return event_get_bool(event, "sticky", false) ? ", sticky" : "";
}

/* "owner root, mode 0555, you are uid 1000". Caller owns. */
static char *permissions(const json_t *event)
{
        const char *mode = event_get_str(event, "mode");
        char *owner = owner_of(event), *text;

        text = text_format("owner %s, mode %s%s, you are uid %lld", owner ? owner : "?",
                           mode != NULL ? mode : "unknown", special(event),
                           (long long)event_get_int(event, "uid", -1));
        free(owner);
        return text;
}

static const char *kind_of_file(const struct filefault *group)
{
        const char *at = filefault_blocked(group);
        size_t len = strlen(at);

        if (!filefault_is_file(group))
                return "directory";
        return len > 5 && strcmp(at + len - 5, ".lock") == 0 ? "lock file" : "file";
}

/* How the sentence ends when the network has done its part. Caller owns. */
static char *innocence(const struct filefault *group)
{
        const struct process *p = group->first->process;

        if (p != NULL && p->answers > 0)
                return text_format("; the network is innocent, %zu answer%s arrived", p->answers,
                                   text_s(p->answers));
        return text_format("%s", group->unconnected ? "; the network was never tried" : "");
}

/* Of faults of a cache or of what it lies on. */
static char *summary_of_cache(const struct filefault *group, const char *tail, const char *owner)
{
        const json_t *event = group->first->event;
        const char *at = filefault_blocked(group), *who = title(group);
        const char *error = text_errno(event_get_str(event, "errno"));
        const char *things = group->root_len > 0 ? "'s cache" : "'s files";

        switch (group->code) {
        case FINDING_PATH_COMPONENT_NOT_A_DIRECTORY:
                return text_format("%s cannot use its cache: %s is not a directory%s.", who, at,
                                   tail);
        case FINDING_CACHE_NOT_READABLE:
                return text_format("%s's cache is not readable: %s: %s%s.", who, at, error, tail);
        case FINDING_READ_ONLY_FILESYSTEM:
                return text_format("%s%s is on a filesystem that is mounted read-only, %s%s.", who,
                                   things, group->mount, tail);
        case FINDING_QUOTA_EXCEEDED:
                return text_format("The disk quota of uid %lld on %s is used up, so %s%s cannot be "
                                   "written%s.",
                                   (long long)event_get_int(event, "uid", -1), group->mount, who,
                                   things, tail);
        case FINDING_DISK_FULL:
                return text_format("The disk is full: %s has no room left for %s%s%s.",
                                   group->mount, who, things, tail);
        case FINDING_INODES_EXHAUSTED:
                return text_format(
                        "%s has no inodes left for %s%s: it has room, but no new file can "
                        "be made%s.",
                        group->mount, who, things, tail);
        case FINDING_CACHE_OWNED_BY_OTHER_USER:
                return text_format("The %s %s in %s's cache belongs to %s and cannot be written%s.",
                                   kind_of_file(group), at, who, owner, tail);
        default:
                return text_format("%s's cache is not writable: %s: %s%s.", who, at, error, tail);
        }
}

static char *summary_of(const struct facts *facts, const struct filefault *group, const char *tail,
                        const char *owner)
{
        const json_t *event = group->first->event;
        const char *who = title(group), *error = text_errno(event_get_str(event, "errno"));
        const char *path = event_get_str(event, "path"), *path2 = event_get_str(event, "path2");
        const char *home = facts->tools.home != NULL ? facts->tools.home : "?";

        switch (group->code) {
        case FINDING_TOO_MANY_OPEN_FILES:
                return event_field_is(event, "errno", "ENFILE")
                               ? text_format("This machine has no more room for open files%s.",
                                             tail)
                               : text_format("%s has as many files open as it may%s.", who, tail);
        case FINDING_HOME_MISSING:
                return text_format("The home directory %s does not exist and cannot be made, and "
                                   "%s needs it%s.",
                                   home, who, tail);
        case FINDING_HOME_NOT_WRITABLE:
                return text_format("The home directory %s is not writable, and %s needs it: %s%s.",
                                   home, who, error, tail);
        case FINDING_TEMP_NOT_WRITABLE:
                return temporary_summary(facts, event, tail);
        case FINDING_CROSS_DEVICE_RENAME:
                return text_format("%s cannot move %s to %s: they are on different file "
                                   "systems%s.",
                                   who, path, path2 != NULL ? path2 : "its place", tail);
        case FINDING_FILE_TOO_LARGE:
                return text_format("%s cannot write %s: it would be larger than a file may be%s.",
                                   who, path, tail);
        case FINDING_LOCKS_UNSUPPORTED:
                return text_format("The file system %s gives no locks, and %s needs one on %s%s.",
                                   group->mount, who, path, tail);
        case FINDING_NOEXEC:
                return text_format("%s cannot be started: the file system %s is mounted noexec%s.",
                                   path, group->mount, tail);
        default:
                return summary_of_cache(group, tail, owner);
        }
}

static void add_answer(struct draft *d, const struct facts *facts, const json_t *answer)
{
        const struct flow *flow = facts_flow(facts, answer);
        const json_t *request = facts_request(facts, answer);
        const char *url = event_get_str(answer, "url"), *reason = event_get_str(answer, "reason");
        const char *method = event_get_str(request, "method");

        url = url != NULL ? url : event_get_str(request, "url");
        text_add_at(&d->evidence, answer, "%lld%s%s from %s%s%s%s%s",
                    (long long)event_get_int(answer, "status", 0), reason ? " " : "",
                    reason ? reason : "", flow != NULL && flow->host ? flow->host : "the host",
                    url != NULL ? " for " : "", url && method ? method : "",
                    url && method ? " " : "", url != NULL ? url : "");
}

static void add_call(struct draft *d, const json_t *event)
{
        const char *path2 = event_get_str(event, "path2"), *call = event_get_str(event, "call");
        const char *error = event_get_str(event, "errno");

        if (event_get_str(event, "path") == NULL) {
                text_add_at(&d->evidence, event, "%s() failed: %s (%s)", call ? call : "a call",
                            text_errno(error), error ? error : "?");
                return;
        }
        text_add_at(&d->evidence, event, "%s(\"%s\"%s%s%s) failed: %s (%s)", call ? call : "a call",
                    event_get_str(event, "path"), path2 ? ", \"" : "", path2 ? path2 : "",
                    path2 ? "\"" : "", text_errno(error), error ? error : "?");
}

/* Not every file system counts inodes. */
static void add_space(struct draft *d, const struct filefault *group, const char *fstype)
{
        const json_t *event = group->first->event;
        long long bytes = event_get_int(event, "free_bytes", -1);
        long long inodes = event_get_int(event, "free_inodes", -1);

        if (bytes >= 0 && inodes >= 0)
                text_add(&d->evidence, "filesystem %s (%s): %lld bytes and %lld inodes free",
                         group->mount, fstype, bytes, inodes);
        else if (bytes >= 0)
                text_add(&d->evidence, "filesystem %s (%s): %lld bytes free", group->mount, fstype,
                         bytes);
        else
                text_add(&d->evidence, "filesystem %s (%s)", group->mount, fstype);
}

static void add_filesystem(struct draft *d, const struct filefault *group)
{
        const json_t *event = group->first->event;
        const char *fstype = event_get_str(event, "fstype"), *mode = event_get_str(event, "mode");

        fstype = fstype != NULL ? fstype : "unknown type";
        switch (group->code) {
        case FINDING_READ_ONLY_FILESYSTEM:
                text_add(&d->evidence, "filesystem %s (%s) is mounted read-only", group->mount,
                         fstype);
                break;
        case FINDING_NOEXEC:
                text_add(&d->evidence,
                         "filesystem %s (%s) is mounted noexec; the file's mode is %s",
                         group->mount, fstype, mode != NULL ? mode : "unknown");
                break;
        case FINDING_LOCKS_UNSUPPORTED:
                text_add(&d->evidence, "filesystem %s is of type %s", group->mount, fstype);
                break;
        case FINDING_CROSS_DEVICE_RENAME:
                text_add(&d->evidence, "one is on %s, the other on %s", group->mount,
                         event_get_str(event, "mount_from") ? event_get_str(event, "mount_from")
                                                            : "another");
                break;
        default:
                add_space(d, group, fstype);
        }
        if (event_get_int(event, "quota_bytes", 0) > 0)
                text_add(&d->evidence, "quota: %lld of %lld bytes are used",
                         (long long)event_get_int(event, "quota_used_bytes", -1),
                         (long long)event_get_int(event, "quota_bytes", -1));
}

/* What the relay found when it looked at the place. */
static void add_detail(struct draft *d, const struct filefault *group)
{
        const json_t *event = group->first->event;
        const char *at = filefault_blocked(group), *type = event_get_str(event, "type");
        const char *ancestor = event_get_str(event, "ancestor");
        char *rights = permissions(event);

        if (group->mount != NULL)
                add_filesystem(d, group);
        else if (group->code == FINDING_TOO_MANY_OPEN_FILES)
                text_add(&d->evidence, "limit of open files: %lld; it had %lld open",
                         (long long)event_get_int(event, "nofile_limit", -1),
                         (long long)event_get_int(event, "open_files", -1));
        else if (group->code == FINDING_FILE_TOO_LARGE)
                rules_size_limit(d, event);
        else if (group->code == FINDING_HOME_MISSING || event_field_is(event, "errno", "ENOENT"))
                text_add(&d->evidence, "what exists of it: %s (%s)", ancestor ? ancestor : "?",
                         rights ? rights : "");
        else if (group->code == FINDING_PATH_COMPONENT_NOT_A_DIRECTORY ||
                 event_field_is(event, "errno", "ENOTDIR"))
                text_add(&d->evidence, "%s is no directory (it is a %s, %s)", at,
                         type ? type : "file", rights ? rights : "");
        else if (filefault_is_file(group))
                text_add(&d->evidence, "the %s %s: %s", kind_of_file(group), at,
                         rights ? rights : "");
        else
                text_add(&d->evidence, "first directory that cannot be %s: %s (%s)",
                         group->code == FINDING_CACHE_NOT_READABLE ? "entered or read" : "written",
                         at, rights ? rights : "");
        free(rights);
}

static void add_close(struct draft *d, const struct facts *facts, const json_t *answer)
{
        const struct flow *flow = facts_flow(facts, answer);
        int64_t after_us;

        if (flow == NULL || flow->close == NULL || !event_field_is(flow->close, "first", "client"))
                return;
        after_us = event_get_time_us(flow->close) - event_get_time_us(answer);
        if (after_us >= 0)
                text_add_at(&d->evidence, flow->close,
                            "connection closed by the client %lld ms after the answer",
                            (long long)(after_us / 1000));
}

static size_t early_closes(const struct facts *facts, const struct process *p)
{
        size_t count = 0;

        for (const struct flow *flow = facts->flows; flow != NULL; flow = flow->hh.next)
                count += flow->process == p && flow->answer != NULL &&
                         event_field_is(flow->close, "first", "client");
        return count;
}

static void add_totals(struct draft *d, const struct facts *facts, const struct filefault *group)
{
        const struct process *p = group->first->process;
        size_t closes = early_closes(facts, p);

        if (p != NULL && p->connects == 0)
                text_add(&d->evidence, "process %lld tried no connection at all",
                         (long long)p->pid);
        if (group->count < 2)
                return;
        if (p == NULL || p->answers == 0)
                text_add(&d->evidence, "in all: %zu such calls failed", group->count);
        else
                text_add(&d->evidence,
                         "in all: %zu good answers, %zu failed calls like this, %zu connections "
                         "closed "
                         "by the client",
                         p->answers, group->count, closes);
}

static void report_group(const struct facts *facts, const struct filefault *group,
                         enum severity severity, enum confidence confidence,
                         struct findings *findings)
{
        struct draft *d = findings_add(findings, group->code, group->first->event);
        char *tail = innocence(group), *owner = owner_of(group->first->event);

        if (d != NULL && tail != NULL && owner != NULL) {
                d->severity = severity;
                d->confidence = confidence;
                d->summary = summary_of(facts, group, tail, owner);
                if (group->first->answer != NULL)
                        add_answer(d, facts, group->first->answer);
                add_call(d, group->first->event);
                add_detail(d, group);
                if (group->first->answer != NULL)
                        add_close(d, facts, group->first->answer);
                add_totals(d, facts, group);
                remedy_files(d, facts, group);
        }
        free(owner);
        free(tail);
}

static bool is_read(const struct filefault *group)
{
        return event_field_is(group->first->event, "intent", "read");
}

/* Can it have stopped the run, as far as the group alone tells? */
static bool is_certain(const struct filefault *group, bool network_failed)
{
        if (!group->needed || (network_failed && !group->tried_first))
                return false;
        return group->unconnected || !is_read(group);
}

/* Programs often do without these, or do the same another way. One is taken for the cause if
 * nothing else is known and the run ended right after it. */
static bool is_last_word(const struct facts *facts, const struct filefault *group)
{
        enum { SOON_US = 3000000 };
        static const uint64_t uncertain = FINDING_BIT(FINDING_TOO_MANY_OPEN_FILES) |
                                          FINDING_BIT(FINDING_TEMP_NOT_WRITABLE) |
                                          FINDING_BIT(FINDING_CROSS_DEVICE_RENAME);
        int64_t end_us = event_get_time_us(facts->end);

        return (FINDING_BIT(group->code) & uncertain) != 0 && facts_failed(facts) &&
               end_us - event_get_time_us(group->last) < SOON_US;
}

/* A cache that is broken in the same place for another tool too, or for reading as well as for
 * writing, is one cause. */
static bool is_explained(const struct filefaults *all, const enum confidence *sure, size_t at)
{
        const char *blocked = filefault_blocked(&all->groups[at]);

        for (size_t i = 0; i < all->count; i++)
                if (i != at && sure[i] > sure[at] &&
                    strcmp(filefault_blocked(&all->groups[i]), blocked) == 0)
                        return true;
        return false;
}

/* How sure is each group to be a cause? CONFIDENCE_POSSIBLE makes a warning only. A read that
 * failed after connecting may have been done without; it is the cause only if there is no other. */
static void judge(const struct facts *facts, const struct filefaults *all,
                  const struct findings *findings, enum confidence sure[FILEFAULT_GROUPS])
{
        bool network_failed = findings_has_error(findings, finding_network_bits);
        bool any = findings_has_error(findings, ~UINT64_C(0));

        for (size_t i = 0; i < all->count; i++) {
                bool certain = is_certain(&all->groups[i], network_failed);

                sure[i] = certain ? CONFIDENCE_CERTAIN : CONFIDENCE_POSSIBLE;
                any = any || certain;
        }
        for (size_t i = 0; !any && i < all->count; i++)
                if ((all->groups[i].needed && is_read(&all->groups[i])) ||
                    is_last_word(facts, &all->groups[i]))
                        sure[i] = CONFIDENCE_LIKELY;
}

void rules_files(const struct facts *facts, struct findings *findings)
{
        enum confidence sure[FILEFAULT_GROUPS];
        struct filefaults all;

        filefault_gather(facts, &all);
        judge(facts, &all, findings, sure);
        for (size_t i = 0; i < all.count; i++)
                if (!is_explained(&all, sure, i))
                        report_group(facts, &all.groups[i],
                                     sure[i] > CONFIDENCE_POSSIBLE ? SEVERITY_ERROR
                                                                   : SEVERITY_WARNING,
                                     sure[i], findings);
}
