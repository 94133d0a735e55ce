/* secret_file.c: see secret_file.h. Used by keylog.c and pcap.c. */
#include "inspect/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink > 1)
                return -EPERM;
        return (st.st_mode & 077) != 0 && fchmod(fd, 0600) < 0 ? -errno : 0;
}

int secret_file_open(const char *path, bool anew)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                      0600);
        int result = fd < 0 ? (errno == ELOOP ? -EPERM : -errno) : check(fd);

        if (result == 0 && anew && ftruncate(fd, 0) < 0)
                result = -errno;
        if (result == 0)
                return fd;
        if (fd >= 0)
                close(fd);
        return result;
}

int secret_file_write(int fd, const void *data, size_t len)
{
        const char *at = data;

        while (len) {
                ssize_t n = write(fd, at, len);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        at += n;
                        len -= (size_t)n;
                }
        }
        return 0;
}
