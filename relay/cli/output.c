/* Opens what --output names; see output.h. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_trusted_link(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) &&
               (st.st_uid == geteuid() || st.st_uid == 0);
}

/* Emptied only once it is known to be no other file of the user's under a stranger's name. */
static int empty(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return 0;
        if (st.st_nlink > 1)
                return -EPERM;
        return ftruncate(fd, 0) < 0 ? -errno : 0;
}

FILE *output_open(const char *path)
{
        const int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
        int fd = open(path, flags | O_NOFOLLOW, 0666), result;
        FILE *out;

        if (fd < 0 && errno == ELOOP) {
                errno = EPERM;
                fd = is_trusted_link(path) ? open(path, flags, 0666) : -1;
        }
        if (fd < 0)
                return NULL;
        result = empty(fd);
        out = result == 0 ? fdopen(fd, "w") : NULL;
        if (out == NULL) {
                result = result < 0 ? -result : errno;
                close(fd);
                errno = result;
        }
        return out;
}
