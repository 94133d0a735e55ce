/* Passed sockets; see activation.h. */
#include "net/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3 }; /* SD_LISTEN_FDS_START */

static long number(const char *text)
{
        char *end;
        long value = text != NULL && *text != '\0' ? strtol(text, &end, 10) : -1;

        return value < 0 || *end != '\0' ? -1 : value;
}

static int prepare(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
                               fcntl(fd, F_SETFD, FD_CLOEXEC) < 0
                       ? -errno
                       : 0;
}

/* The next of the names, which are separated by colons. */
static const char *take_name(const char *names, char *out, size_t cap)
{
        size_t len = strcspn(names, ":");

        snprintf(out, cap, "%.*s", (int)len, names);
        return names[len] == ':' ? names + len + 1 : names + len;
}

static int take(struct activation *out, const char **why)
{
        const char *names = getenv("LISTEN_FDNAMES");
        long count = number(getenv("LISTEN_FDS"));

        if (getenv("LISTEN_FDS") == NULL || number(getenv("LISTEN_PID")) != (long)getpid())
                return 0;
        if (count < 0 || count > ACTIVATION_MAX) {
                *why = "LISTEN_FDS is not a number from 0 to 64";
                return -EINVAL;
        }
        for (long i = 0; i < count; i++) {
                if (prepare(FIRST + (int)i) < 0) {
                        *why = "LISTEN_FDS counts a descriptor that is not open";
                        return -EINVAL;
                }
                out->sockets[i].fd = FIRST + (int)i;
                names = names != NULL ? take_name(names, out->sockets[i].name,
                                                  sizeof out->sockets[i].name)
                                      : NULL;
        }
        out->count = (size_t)count;
        return 0;
}

int activation_take(struct activation *out, const char **why)
{
        int result;

        memset(out, 0, sizeof *out);
        result = take(out, why);
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
        return result;
}
