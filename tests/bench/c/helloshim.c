/* helloshim.c - the least that a preload library costs which hooks what nullshim does and says at a
 * program's start that it is there, to somebody who must not be another user: one message to the
 * relay's socket for HELLO (HELLO_SOCKET), without a word of which program it is. The floor against
 * which the start of a program is read. */
#include "nullshim.c"
#include "tapline_wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* Of this user, or of root. */
static int is_trusted(int fd)
{
        struct ucred who;
        socklen_t len = sizeof who;

        return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) &&
               (who.uid == 0 || who.uid == geteuid());
}

static __attribute__((constructor)) void start(void)
{
        struct {
                struct wire_hello hello;
                char exe_and_name[2];
        } packet = {.hello.head = {.magic = WIRE_MAGIC,
                                   .version = WIRE_VERSION,
                                   .type = WIRE_HELLO,
                                   .len = sizeof packet}};
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        const char *path = getenv("HELLO_SOCKET");
        int fd;

        if (!path || (fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) < 0)
                return;
        strncpy(to.sun_path, path, sizeof to.sun_path - 1);
        if (!connect(fd, (const struct sockaddr *)&to, sizeof to) && is_trusted(fd))
                send(fd, &packet, sizeof packet, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(fd);
}
