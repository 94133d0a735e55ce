/* A program that has closed descriptors: HOW HOST PORT FILE MINE. HOW is closefrom, close_range
 * (all above 2) or standard (0 to 2; MINE then becomes descriptors 0 to 2 one after the other).
 * Connects, fails to open FILE, and looks that no descriptor is there that it has not made. What it
 * sees goes to MINE. */
#include "idiom.h"

#include <sys/syscall.h>

static int open_count(void)
{
        int count = 0;

        for (int fd = 0; fd < 256; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

static void close_them(const char *how)
{
        if (strcmp(how, "closefrom") == 0)
                closefrom(3);
        else if (strcmp(how, "close_range") == 0)
                syscall(SYS_close_range, 3, ~0U, 0);
        else
                for (int fd = 0; fd < 3; fd++)
                        close(fd);
}

int main(int argc, char **argv)
{
        int before, fd, connected, opened, mine;
        const char *connect_name, *open_name, *peer;

        if (argc < 6)
                return 64;
        idiom_start(3, argv + 1);
        close_them(argv[1]);
        before = open_count();
        fd = tcp_socket(0);
        connected = connect_target(fd);
        connect_name = outcome(connected);
        peer = peer_of(fd);
        opened = open(argv[4], O_WRONLY | O_CREAT, 0600);
        open_name = outcome(opened);
        mine = open(argv[5], O_WRONLY | O_CREAT | O_APPEND, 0600);
        dprintf(mine, "socket %d\nconnect %s\npeer %s\nopen %s\nmine %d\n", fd, connect_name, peer,
                open_name, mine);
        /* With its standard error taken by a file of its own. */
        for (int next = mine; next >= 0 && next < 2;)
                next = dup(mine);
        dprintf(mine, "again %d\n", open(argv[4], O_WRONLY | O_CREAT, 0600));
        dprintf(mine, "more %d\n", open_count() - before);
        return 0;
}
