/* Makes COUNT connections to 127.0.0.1:PORT, one after the other, with a request each that follows
 * connect() at once, and prints how many answers began with "HTTP/1.1 200". */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int is_answered(const struct sockaddr_in *to)
{
        static const char request[] = "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n";
        char answer[13] = "";
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int good = connect(fd, (const struct sockaddr *)to, sizeof *to) == 0 &&
                   send(fd, request, sizeof request - 1, 0) == sizeof request - 1 &&
                   recv(fd, answer, sizeof answer - 1, MSG_WAITALL) == sizeof answer - 1 &&
                   strcmp(answer, "HTTP/1.1 200") == 0;

        close(fd);
        return good;
}

int main(int argc, char **argv)
{
        struct sockaddr_in to = {.sin_family = AF_INET};
        int good = 0;

        if (argc != 3)
                return 2;
        to.sin_port = htons((unsigned short)atoi(argv[1]));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (int i = atoi(argv[2]); i > 0; i--)
                good += is_answered(&to);
        printf("%d\n", good);
        return 0;
}
