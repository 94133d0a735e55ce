/* Takes locks as programs do: file_locks KIND FILE. KIND is flock, flock-nb, fcntl, ofd, lockf, or
 * hold (flock until standard input ends). Prints "asking", then "got" or the errno. A signal
 * handler for SIGALRM is set, without SA_RESTART; "alarm" behind the file sets it off after 300 ms.
 * Run by test_file_locks.py. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

static void on_alarm(int number)
{
        (void)number;
}

static int take(const char *kind, int fd)
{
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        if (strcmp(kind, "flock") == 0 || strcmp(kind, "hold") == 0)
                return flock(fd, LOCK_EX);
        if (strcmp(kind, "flock-nb") == 0)
                return flock(fd, LOCK_EX | LOCK_NB);
        if (strcmp(kind, "fcntl") == 0)
                return fcntl(fd, F_SETLKW, &whole);
        if (strcmp(kind, "ofd") == 0 || strcmp(kind, "ofd-hold") == 0)
                return fcntl(fd, F_OFD_SETLKW, &whole);
        if (strcmp(kind, "lockf") == 0 || strcmp(kind, "lockf-hold") == 0)
                return lockf(fd, F_LOCK, 0);
        return -1;
}

int main(int argc, char **argv)
{
        struct sigaction action = {.sa_handler = on_alarm};
        struct itimerval soon = {.it_value = {.tv_usec = 300000}};
        char c;
        int fd;

        if (argc < 3)
                return 2;
        fd = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        sigaction(SIGALRM, &action, NULL);
        if (argc > 3)
                setitimer(ITIMER_REAL, &soon, NULL);
        setvbuf(stdout, NULL, _IONBF, 0);
        puts("asking");
        puts(take(argv[1], fd) == 0 ? "got" : strerrorname_np(errno));
        if (strstr(argv[1], "hold") != NULL)
                while (read(0, &c, 1) > 0)
                        ;
        return 0;
}
