/* prctl(2) and syscall(2), for one purpose: a program that gives itself a seccomp filter may be
 * ended by it for a system call that only the library makes. Whether a filter is there could be
 * asked later too, but the question is a system call that it may forbid. So the filter is tried
 * here, before it is in force, on the calls of ours. If one of them would not simply work or fail,
 * the library falls silent in this process and what it starts. A filter that was there before the
 * program (that of a container) changes nothing. */
#include "bpf.h"
#include "config.h"
#include "fallback.h"
#include "files_syscall.h"
#include "real.h"
#include "sys.h"
#include "uncovered.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#if defined(__x86_64__)
enum { OUR_ARCH = AUDIT_ARCH_X86_64 };
#elif defined(__aarch64__)
enum { OUR_ARCH = AUDIT_ARCH_AARCH64 };
#endif

/* What libseccomp and others pass to ask what the kernel can do is no filter. */
static bool is_filter(const struct sock_fprog *filter)
{
        return filter != NULL && filter->filter != NULL && filter->len > 0 &&
               filter->len <= BPF_MAXINSNS;
}

static uint32_t answer(const struct sock_fprog *filter, long nr, long a, long b, long c)
{
        struct seccomp_data call = {.nr = (int)nr, .arch = OUR_ARCH};

        call.args[0] = (uint64_t)a;
        call.args[1] = (uint64_t)b;
        call.args[2] = (uint64_t)c;
        return bpf_run(filter->filter, filter->len, &call) & SECCOMP_RET_ACTION_FULL;
}

static bool lets_pass(const struct sock_fprog *filter, long nr, long a, long b, long c)
{
        switch (answer(filter, nr, a, b, c)) {
        case SECCOMP_RET_ALLOW:
        case SECCOMP_RET_LOG:
        case SECCOMP_RET_ERRNO:
                return true;
        default:
                return false;
        }
}

/* Then the relay cannot be told of anything any more, though nothing breaks: connections go out
 * directly, and failed file calls are written to the record. */
static bool is_cut_off(const struct sock_fprog *filter)
{
        return answer(filter, SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) ==
               SECCOMP_RET_ERRNO;
}

/* Every call of sys.h that a hook may make, where the arguments matter to filters with them. */
static bool is_harmless(const struct sock_fprog *filter)
{
        static const int calls[] = {
                SYS_connect,    SYS_getsockopt, SYS_setsockopt, SYS_getsockname, SYS_getpeername,
                SYS_sendmsg,    SYS_recvfrom,   SYS_recvmsg,    SYS_close,       SYS_gettid,
                SYS_getpid,     SYS_getuid,     SYS_geteuid,    SYS_getgid,      SYS_getegid,
                SYS_readlinkat, SYS_pread64,    SYS_faccessat,  SYS_newfstatat,  SYS_fstat,
                SYS_fstatfs,    SYS_fgetxattr,  SYS_munmap,     SYS_write,       SYS_clock_gettime,
                SYS_ppoll};
        enum { FD = 3 };

        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
                if (!lets_pass(filter, calls[i], FD, 0, 0))
                        return false;
        return lets_pass(filter, SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) &&
               lets_pass(filter, SYS_fcntl, FD, F_GETFL, 0) &&
               lets_pass(filter, SYS_fcntl, 0, F_DUPFD_CLOEXEC, FD) &&
               lets_pass(filter, SYS_mmap, 0, 65536, PROT_READ | PROT_WRITE) &&
               lets_pass(filter, SYS_openat, AT_FDCWD, 0, O_RDONLY | O_CLOEXEC) &&
               lets_pass(filter, SYS_openat, AT_FDCWD, 0, FALLBACK_OPEN) &&
               lets_pass(filter, SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0);
}

struct state {
        bool ready, reachable, tap;
};

/* Before the filter is in force: afterwards nothing can be told. */
static void report_self(void)
{
        struct program self = {.reason = WIRE_SECCOMP};
        long n = sys_readlink("/proc/self/exe", self.path, sizeof self.path - 1);

        if (config.ready && n > 0)
                uncovered_report(&self, NULL, NULL);
}

static struct state fall_silent(void)
{
        struct state before = {config.ready, config.reachable, config.tap};

        report_self();
        config.ready = config.reachable = config.tap = false;
        config.silent = true;
        return before;
}

static void speak_again(const struct state *before)
{
        config.silent = false;
        config.ready = before->ready;
        config.reachable = before->reachable;
        config.tap = before->tap;
}

/* Tells the relay of a filter that only cuts it off. */
static bool must_be_silent(unsigned long mode, unsigned long filter)
{
        const struct sock_fprog *program = (const struct sock_fprog *)filter;

        if (config.silent)
                return false;
        if (mode == SECCOMP_MODE_STRICT)
                return true;
        if (mode != SECCOMP_MODE_FILTER || !is_filter(program))
                return false;
        if (!is_harmless(program))
                return true;
        if (is_cut_off(program))
                report_self();
        return false;
}

EXPORT int prctl(int option, ...)
{
        unsigned long args[4];
        struct state before;
        va_list list;
        bool silent;
        int result;

        va_start(list, option);
        for (size_t i = 0; i < 4; i++)
                args[i] = va_arg(list, unsigned long);
        va_end(list);
        silent = option == PR_SET_SECCOMP && must_be_silent(args[0], args[1]);
        if (silent)
                before = fall_silent();
        result = REAL(prctl)(option, args[0], args[1], args[2], args[3]);
        if (silent && result < 0)
                speak_again(&before);
        return result;
}

/* Called by the assembler below. */
long seccomp_set_filter(long op, long flags, long filter);
void *seccomp_resolve(void);
extern void *seccomp_real;

__attribute__((cold, used)) long seccomp_set_filter(long op, long flags, long filter)
{
        /* SECCOMP_SET_MODE_STRICT and _FILTER are 0 and 1, the modes 1 and 2. */
        bool silent = (op == SECCOMP_SET_MODE_STRICT || op == SECCOMP_SET_MODE_FILTER) &&
                      must_be_silent((unsigned long)op + 1, (unsigned long)filter);
        struct state before;
        long result;

        if (silent)
                before = fall_silent();
        result = REAL(syscall)(SYS_seccomp, op, flags, filter);
        if (silent && result < 0)
                speak_again(&before);
        return result;
}

/* syscall(2) itself: everything but SYS_seccomp and the file calls of files_syscall.c goes to the
 * real one by a jump. It must find the
 * caller's stack as it is (some of its calls return on another), and on x86-64 the last argument is
 * read from there, by a compiler's version of this also written back: from callers that gave fewer,
 * that is a variable of theirs. */
#if defined(__x86_64__)

__attribute__((used)) void *seccomp_real;

__attribute__((used, cold)) void *seccomp_resolve(void)
{
        return seccomp_real = real_get(REAL_syscall);
}

__asm__(".text\n"
        ".p2align 4\n"
        ".globl syscall\n"
        ".type syscall, @function\n"
        "syscall:\n"
        "        .cfi_startproc\n"
        "        endbr64\n"
        "        cmpq $511, %rdi\n" /* FILES_SYSCALL_MAX */
        "        ja 3f\n"
        "        leaq files_syscalls(%rip), %rax\n"
        "        cmpb $0, (%rax,%rdi)\n"
        "        jne 4f\n"
        "3:      movq seccomp_real(%rip), %rax\n"
        "        testq %rax, %rax\n"
        "        je 2f\n"
        "        jmp *%rax\n"
        "4:      cmpq $326, %rdi\n" /* SYS_copy_file_range: has a sixth argument */
        "        je files_syscall_copy\n"
        "        cmpq $317, %rdi\n" /* SYS_seccomp */
        "        jne files_syscall\n"
        "        movq %rsi, %rdi\n"
        "        movq %rdx, %rsi\n"
        "        movq %rcx, %rdx\n"
        "        jmp seccomp_set_filter\n"
        "2:      pushq %rdi\n"
        "        .cfi_adjust_cfa_offset 8\n"
        "        pushq %rsi\n"
        "        .cfi_adjust_cfa_offset 8\n"
        "        pushq %rdx\n"
        "        .cfi_adjust_cfa_offset 8\n"
        "        pushq %rcx\n"
        "        .cfi_adjust_cfa_offset 8\n"
        "        pushq %r8\n"
        "        .cfi_adjust_cfa_offset 8\n"
        "        pushq %r9\n"
        "        .cfi_adjust_cfa_offset 8\n"
        "        subq $8, %rsp\n" /* a multiple of 16 at the call */
        "        .cfi_adjust_cfa_offset 8\n"
        "        call seccomp_resolve\n"
        "        addq $8, %rsp\n"
        "        .cfi_adjust_cfa_offset -8\n"
        "        popq %r9\n"
        "        .cfi_adjust_cfa_offset -8\n"
        "        popq %r8\n"
        "        .cfi_adjust_cfa_offset -8\n"
        "        popq %rcx\n"
        "        .cfi_adjust_cfa_offset -8\n"
        "        popq %rdx\n"
        "        .cfi_adjust_cfa_offset -8\n"
        "        popq %rsi\n"
        "        .cfi_adjust_cfa_offset -8\n"
        "        popq %rdi\n"
        "        .cfi_adjust_cfa_offset -8\n"
        "        jmp *%rax\n"
        "        .cfi_endproc\n"
        ".size syscall, .-syscall\n");
_Static_assert(SYS_seccomp == 317 && SYS_copy_file_range == 326 && FILES_SYSCALL_MAX == 511,
               "the numbers in the assembler above");

#else

typedef long syscall_function(long nr, long a, long b, long c, long d, long e, long f);

/* All arguments are in registers. */
EXPORT syscall_function hook_syscall __asm__("syscall");

EXPORT long hook_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
        if (__builtin_expect(nr == SYS_seccomp, 0))
                return seccomp_set_filter(a, b, c);
        if (nr == SYS_copy_file_range)
                return files_syscall_copy(nr, a, b, c, d, e, f);
        if (nr >= 0 && nr <= FILES_SYSCALL_MAX && files_syscalls[nr] != 0)
                return files_syscall(nr, a, b, c, d, e);
        return ((syscall_function *)real_get(REAL_syscall))(nr, a, b, c, d, e, f);
}

#endif
