/* What the relay gives up; see confine.h. */
#include "cli/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights of later kernels than the header's. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

static const uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

/* What this kernel's landlock knows of it; 0: there is none, errno tells why. */
static uint64_t known_rights(void)
{
        long version =
                syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

        if (version < 1)
                return 0;
        return writing | LANDLOCK_ACCESS_FS_EXECUTE |
               (version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) |
               (version >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
}

/* dirname(3), which would change its argument. */
static int open_dir_of(const char *file)
{
        const char *slash = strrchr(file, '/');
        char dir[PATH_MAX] = ".";
        size_t len = slash != NULL ? (size_t)(slash - file) : 0;

        if (len >= sizeof dir) {
                errno = ENAMETOOLONG;
                return -1;
        }
        if (slash != NULL)
                snprintf(dir, sizeof dir, "%.*s", (int)(len > 0 ? len : 1), file);
        return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int allow(int ruleset, const char *file, uint64_t rights)
{
        struct landlock_path_beneath_attr rule = {.allowed_access = rights};
        int result;

        rule.parent_fd = open_dir_of(file);
        if (rule.parent_fd < 0)
                return errno == ENOENT ? 0 : -errno;
        result = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        if (result < 0)
                result = -errno;
        close(rule.parent_fd);
        return result;
}

static int confine_files(const char *const files[])
{
        struct landlock_ruleset_attr attr = {.handled_access_fs = known_rights()};
        int ruleset, result = 0;

        if (attr.handled_access_fs == 0)
                return -errno;
        ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
        if (ruleset < 0)
                return -errno;
        for (size_t i = 0; result == 0 && files[i] != NULL; i++)
                result = allow(ruleset, files[i],
                               attr.handled_access_fs & ~LANDLOCK_ACCESS_FS_EXECUTE);
        if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                result = -errno;
        close(ruleset);
        return result;
}

int confine(const char *const files[])
{
        const struct rlimit none = {0, 0};

        if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return confine_files(files);
}
