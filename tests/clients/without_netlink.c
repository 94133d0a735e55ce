/* Starts PROGRAM [ARGUMENT...] where no netlink socket can be made, as under systemd's
 * RestrictAddressFamilies= and in gVisor. The relay can then not ask sock_diag(7) and has no hold.
 * Run by tests/e2e/test_no_hold.py. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(what)          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
#define RETURN(what)        BPF_STMT(BPF_RET | BPF_K, (what))

int main(int argc, char **argv)
{
        struct sock_filter code[] = {LOAD(nr),
                                     UNLESS(SYS_socket, 3),
                                     LOAD(args[0]), /* its low half: x86-64 and aarch64 */
                                     UNLESS(AF_NETLINK, 1),
                                     RETURN(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
                                     RETURN(SECCOMP_RET_ALLOW)};
        struct sock_fprog filter = {sizeof code / sizeof *code, code};

        if (argc < 2)
                return 64;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
                perror("seccomp");
                return 65;
        }
        execv(argv[1], argv + 1);
        perror(argv[1]);
        return 66;
}
