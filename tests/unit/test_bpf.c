/* bpf_run() against the kernel: random filters are put in force in children, and what getppid(2)
 * returns there is compared. */
#include "../../preload/bpf.c"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { FILTERS = 300, LEN = 24, SKIPPED = 200, DATA = 127 };

/* A filter that the kernel takes: it starts with A and all memory set and ends by returning A,
 * which is made an error between 1 and 127. For calls other than getppid(2) it allows. */
static size_t make_filter(struct sock_filter *code, unsigned seed)
{
        static const uint16_t plain[] = {BPF_ALU | BPF_ADD | BPF_K,
                                         BPF_ALU | BPF_SUB | BPF_X,
                                         BPF_ALU | BPF_MUL | BPF_K,
                                         BPF_ALU | BPF_DIV | BPF_K,
                                         BPF_ALU | BPF_AND | BPF_K,
                                         BPF_ALU | BPF_OR | BPF_X,
                                         BPF_ALU | BPF_XOR | BPF_K,
                                         BPF_ALU | BPF_LSH | BPF_K,
                                         BPF_ALU | BPF_RSH | BPF_K,
                                         BPF_ALU | BPF_NEG,
                                         BPF_MISC | BPF_TAX,
                                         BPF_MISC | BPF_TXA,
                                         BPF_LD | BPF_IMM,
                                         BPF_LDX | BPF_IMM,
                                         BPF_LD | BPF_W | BPF_LEN,
                                         BPF_LDX | BPF_W | BPF_LEN,
                                         BPF_LD | BPF_MEM,
                                         BPF_LDX | BPF_MEM,
                                         BPF_ST,
                                         BPF_STX,
                                         BPF_LD | BPF_W | BPF_ABS};
        static const uint16_t jumps[] = {BPF_JEQ | BPF_K,  BPF_JGT | BPF_X, BPF_JGE | BPF_K,
                                         BPF_JSET | BPF_K, BPF_JGT | BPF_K, BPF_JSET | BPF_X};
        size_t n = 0;

        srandom(seed);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                 offsetof(struct seccomp_data, nr));
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_IMM, (uint32_t)random());
        for (uint32_t i = 0; i < BPF_MEMWORDS; i++)
                code[n++] = (struct sock_filter)BPF_STMT(i % 2 == 0 ? BPF_ST : BPF_STX, i);
        for (size_t end = n + LEN; n < end; n++) {
                uint16_t op = plain[(size_t)random() % (sizeof plain / sizeof *plain)];
                uint32_t k = (uint32_t)random();

                if (random() % 4 == 0) {
                        op = BPF_JMP | jumps[(size_t)random() % (sizeof jumps / sizeof *jumps)];
                        code[n] = (struct sock_filter)BPF_JUMP(
                                op, k, (uint8_t)((size_t)random() % (end - n)),
                                (uint8_t)((size_t)random() % (end - n)));
                        continue;
                }
                if (BPF_CLASS(op) == BPF_ST || BPF_CLASS(op) == BPF_STX ||
                    (BPF_CLASS(op) <= BPF_LDX && BPF_MODE(op) == BPF_MEM))
                        k %= BPF_MEMWORDS;
                else if (BPF_CLASS(op) == BPF_ALU && (BPF_OP(op) & 0xe0) == BPF_LSH)
                        k %= 32;
                else if (op == (BPF_LD | BPF_W | BPF_ABS))
                        k = k % 2 * 4; /* nr or arch: what is known beforehand */
                else if (BPF_CLASS(op) == BPF_ALU && BPF_OP(op) == BPF_DIV)
                        k = k % 1000 + 1;
                code[n] = (struct sock_filter)BPF_STMT(op, k);
        }
        code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, DATA - 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
        return n;
}

/* The error that getppid(2) gives under the filter; SKIPPED if it cannot be set here. */
static int ask_kernel(const struct sock_filter *code, size_t len)
{
        struct sock_fprog program = {(unsigned short)len, (struct sock_filter *)code};
        int status;
        pid_t child = fork();

        if (child == 0) {
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                        _exit(SKIPPED);
                _exit(syscall(SYS_getppid) < 0 ? errno : 0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void the_kernel_agrees(void **state)
{
        struct sock_filter code[LEN + BPF_MEMWORDS + 8];
        struct seccomp_data call = {.nr = SYS_getppid};

        (void)state;
#if defined(__x86_64__)
        call.arch = 0xc000003e; /* AUDIT_ARCH_X86_64 */
#else
        call.arch = 0xc00000b7; /* AUDIT_ARCH_AARCH64 */
#endif
        for (unsigned seed = 1; seed <= FILTERS; seed++) {
                size_t len = make_filter(code, seed);
                uint32_t ours = bpf_run(code, len, &call);
                int theirs = ask_kernel(code, len);

                if (theirs == SKIPPED)
                        skip();
                assert_int_equal(ours & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ERRNO);
                assert_int_equal(ours & SECCOMP_RET_DATA, theirs);
        }
}

static void what_the_kernel_would_not_take(void **state)
{
        const struct sock_filter bad[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),
                BPF_STMT(BPF_ST, BPF_MEMWORDS),         BPF_STMT(BPF_LD | BPF_MEM, BPF_MEMWORDS),
                BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3)};
        struct seccomp_data call = {.nr = 1};

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct sock_filter code[2] = {bad[i], BPF_STMT(BPF_ALU | BPF_NEG, 0)};

                assert_int_equal(bpf_run(code, 2, &call), SECCOMP_RET_KILL_PROCESS);
                assert_int_equal(bpf_run(code, 0, &call), SECCOMP_RET_KILL_PROCESS);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_kernel_agrees),
                cmocka_unit_test(what_the_kernel_would_not_take),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
