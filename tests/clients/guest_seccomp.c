/* A program that gives itself a seccomp filter and then goes on: HOW WHAT HOST PORT FILE [PROGRAM].
 * HOW it is installed is prctl or syscall. WHAT the filter does with socket(2): EPERM, ENOSYS,
 * KILL, TRAP, or with every call that the program does not make itself: LIST (an allow-list).
 * "none" is no filter, PROBE asks libseccomp's question and installs none. Prints what it sees; the
 * socket that it connects is made before. */
#include "idiom.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LOAD_NR      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOWED(nr)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), RETURN(SECCOMP_RET_ALLOW)

static int install(const char *how, struct sock_fprog *program)
{
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        if (strcmp(how, "prctl") == 0)
                return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program);
        return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);
}

static int filter_socket(const char *how, unsigned action)
{
        struct sock_filter code[] = {LOAD_NR, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
                                     RETURN(action), RETURN(SECCOMP_RET_ALLOW)};
        struct sock_fprog program = {sizeof code / sizeof *code, code};

        return install(how, &program);
}

static int filter_list(const char *how)
{
        struct sock_filter code[] = {LOAD_NR,
                                     ALLOWED(SYS_write),
                                     ALLOWED(SYS_connect),
                                     ALLOWED(SYS_getpeername),
                                     ALLOWED(SYS_exit_group),
                                     ALLOWED(SYS_newfstatat),
                                     ALLOWED(SYS_brk),
                                     ALLOWED(SYS_getrandom),
                                     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
                                     RETURN(SECCOMP_RET_ERRNO | EACCES),
                                     RETURN(SECCOMP_RET_KILL_PROCESS)};
        struct sock_fprog program = {sizeof code / sizeof *code, code};

        return install(how, &program);
}

static int filter(const char *how, const char *what)
{
        if (strcmp(what, "EPERM") == 0)
                return filter_socket(how, SECCOMP_RET_ERRNO | EPERM);
        if (strcmp(what, "ENOSYS") == 0)
                return filter_socket(how, SECCOMP_RET_ERRNO | ENOSYS);
        if (strcmp(what, "KILL") == 0)
                return filter_socket(how, SECCOMP_RET_KILL_PROCESS);
        if (strcmp(what, "TRAP") == 0)
                return filter_socket(how, SECCOMP_RET_TRAP);
        if (strcmp(what, "LIST") == 0)
                return filter_list(how);
        if (strcmp(what, "PROBE") == 0)
                return install(how, NULL);
        return 0;
}

int main(int argc, char **argv)
{
        int fd, result;

        if (argc < 6)
                return 64;
        idiom_start(3, argv + 2);
        fd = tcp_socket(0);
        printf("filter %s\n", outcome(filter(argv[1], argv[2])));
        result = connect_target(fd);
        printf("connect %s\n", outcome(result));
        printf("peer %s\n", peer_of(fd));
        result = open(argv[5], O_WRONLY | O_CREAT, 0600);
        printf("open %s\n", outcome(result));
        if (strcmp(argv[2], "EPERM") == 0 || strcmp(argv[2], "ENOSYS") == 0)
                printf("socket %s\n", outcome(socket(AF_INET, SOCK_STREAM, 0)));
        fflush(stdout);
        if (argc > 6)
                execl(argv[6], argv[6], "last", NULL);
        return 0;
}
