/* Does one thing COUNT times, so that a difference of two runs tells what one costs under the
 * library: drive_preload THING COUNT. Things succeed or fail as programs' ordinary calls do. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int sockets[2];

static int open_close(void)
{
        return close(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static int open_missing(void)
{
        return open("/dev/null/none", O_RDONLY) < 0 && errno == ENOTDIR ? 0 : -1;
}

static int open_absent(void)
{
        return open("/nonexistent", O_RDONLY) < 0 && errno == ENOENT ? 0 : -1;
}

static int make_existing(void)
{
        return mkdir("/", 0755) < 0 && errno == EEXIST ? 0 : -1;
}

static int write_pipe(void)
{
        char byte = 0;

        return write(sockets[0], &byte, 1) == 1 && read(sockets[1], &byte, 1) == 1 ? 0 : -1;
}

static int send_receive(void)
{
        char byte = 0;

        return send(sockets[0], &byte, 1, 0) == 1 && recv(sockets[1], &byte, 1, 0) == 1 ? 0 : -1;
}

static int own_name(void)
{
        struct sockaddr_storage name;
        socklen_t len = sizeof name;

        return getsockname(sockets[0], (struct sockaddr *)&name, &len);
}

static int socket_error(void)
{
        int error;
        socklen_t len = sizeof error;

        return getsockopt(sockets[0], SOL_SOCKET, SO_ERROR, &error, &len);
}

/* Not a TCP connection: nothing to redirect. */
static int connect_datagram(void)
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
        int fd = socket(AF_INET, SOCK_DGRAM, 0), result;

        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        result = connect(fd, (struct sockaddr *)&to, sizeof to);
        close(fd);
        return result;
}

static const struct {
        const char *name;
        int (*once)(void);
} things[] = {
        {"open-close", open_close},
        {"open-absent", open_absent},
        {"open-not-a-directory", open_missing},
        {"mkdir-existing", make_existing},
        {"write-read", write_pipe},
        {"send-recv", send_receive},
        {"getsockname", own_name},
        {"so-error", socket_error},
        {"connect-datagram", connect_datagram},
};

int main(int argc, char **argv)
{
        if (argc != 3 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0)
                return 2;
        for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
                if (strcmp(things[i].name, argv[1]) != 0)
                        continue;
                for (int n = atoi(argv[2]); n > 0; n--)
                        if (things[i].once() < 0) {
                                perror(argv[1]);
                                return 1;
                        }
                return 0;
        }
        fprintf(stderr, "drive_preload: no such thing: %s\n", argv[1]);
        return 2;
}
