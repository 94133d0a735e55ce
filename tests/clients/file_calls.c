/* Makes every file call that the library reports, each so that it fails: DIR holds "closed" (a
 * directory that may not be written, with files in it), "plain" and "taken.lock". Prints "CALL
 * ERRNO" for each in turn, the errno as the program finds it, so that a run without the library
 * shows the same. Run by tests/e2e/test_file_calls.py. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utime.h>

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

static void show(const char *call, long result)
{
        printf("%s %s\n", call, result < 0 ? strerrorname_np(errno) : "worked");
}

#define TRY(call, expression)                                                                      \
        do {                                                                                       \
                errno = 0;                                                                         \
                show(call, (long)(expression));                                                    \
        } while (0)
#define TRY_STREAM(call, expression) TRY(call, (expression) != NULL ? 0 : -1)

static void opening(int dir)
{
        TRY("open", open("closed/open", O_WRONLY | O_CREAT, 0600));
        TRY("open", open64("closed/open64", O_WRONLY | O_CREAT, 0600));
        TRY("openat", openat(dir, "openat", O_WRONLY | O_CREAT, 0600));
        TRY("openat", openat64(dir, "openat64", O_WRONLY | O_CREAT, 0600));
        TRY("open", __open_2("closed/old1", O_WRONLY));
        TRY("open", __open64_2("closed/old2", O_WRONLY));
        TRY("openat", __openat_2(dir, "old3", O_WRONLY));
        TRY("openat", __openat64_2(dir, "old4", O_WRONLY));
        TRY("creat", creat("closed/creat", 0600));
        TRY("creat", creat64("closed/creat64", 0600));
        TRY_STREAM("fopen", fopen("closed/fopen", "w"));
        TRY_STREAM("fopen", fopen64("closed/fopen64", "w"));
        TRY_STREAM("freopen", freopen("closed/freopen", "w", fopen("/dev/null", "w")));
        TRY_STREAM("freopen", freopen64("closed/freopen64", "w", fopen("/dev/null", "w")));
        TRY("open", open("missing/open", O_WRONLY | O_CREAT, 0600));
        TRY("open", open("plain/open", O_WRONLY | O_CREAT, 0600));
        TRY("open", open("taken.lock", O_WRONLY | O_CREAT | O_EXCL, 0600));
}

static void temporary(void)
{
        char a[] = "closed/mkstemp.XXXXXX", b[] = "closed/mkstemp64.XXXXXX",
             c[] = "closed/mkostemp.XXXXXX", d[] = "closed/mkostemp64.XXXXXX",
             e[] = "closed/mkstemps.XXXXXX.x", f[] = "closed/mkstemps64.XXXXXX.x",
             g[] = "closed/mkostemps.XXXXXX.x", h[] = "closed/mkostemps64.XXXXXX.x",
             i[] = "closed/mkdtemp.XXXXXX", j[] = "missing/mkdtemp.XXXXXX";

        TRY("mkstemp", mkstemp(a));
        TRY("mkstemp", mkstemp64(b));
        TRY("mkostemp", mkostemp(c, O_CLOEXEC));
        TRY("mkostemp", mkostemp64(d, O_CLOEXEC));
        TRY("mkstemps", mkstemps(e, 2));
        TRY("mkstemps", mkstemps64(f, 2));
        TRY("mkostemps", mkostemps(g, 2, O_CLOEXEC));
        TRY("mkostemps", mkostemps64(h, 2, O_CLOEXEC));
        TRY_STREAM("mkdtemp", mkdtemp(i));
        TRY_STREAM("mkdtemp", mkdtemp(j));
}

static void naming(int dir)
{
        TRY("mkdir", mkdir("closed/mkdir", 0700));
        TRY("mkdirat", mkdirat(dir, "mkdirat", 0700));
        TRY("mkdir", mkdir("plain", 0700));
        TRY("rmdir", rmdir("closed/dir"));
        TRY("rename", rename("plain", "closed/rename"));
        TRY("renameat", renameat(AT_FDCWD, "plain", dir, "renameat"));
        TRY("renameat2", renameat2(AT_FDCWD, "plain", dir, "renameat2", 0));
        TRY("rename", rename("plain", "missing/rename"));
        TRY("link", link("plain", "closed/link"));
        TRY("linkat", linkat(AT_FDCWD, "plain", dir, "linkat", 0));
        TRY("symlink", symlink("x", "closed/symlink"));
        TRY("symlinkat", symlinkat("x", dir, "symlinkat"));
        TRY("unlink", unlink("closed/file"));
        TRY("unlinkat", unlinkat(dir, "file", 0));
        TRY("remove", remove("closed/file"));
        TRY("mkfifo", mkfifo("closed/mkfifo", 0600));
        TRY("mkfifoat", mkfifoat(dir, "mkfifoat", 0600));
        TRY("mknod", mknod("closed/mknod", S_IFREG | 0600, 0));
        TRY("mknodat", mknodat(dir, "mknodat", S_IFREG | 0600, 0));
}

static void asking(int dir)
{
        TRY("access", access("closed", W_OK));
        TRY("faccessat", faccessat(dir, ".", W_OK, 0));
        TRY("eaccess", eaccess("closed", W_OK));
        TRY("euidaccess", euidaccess("closed", R_OK | W_OK));
}

/* closed/foreign belongs to somebody else, where the test can make such a thing. */
static void changing(int dir)
{
        int fd = open("closed/foreign", O_RDONLY);

        TRY("chmod", chmod("closed/foreign", 0600));
        TRY("fchmod", fchmod(fd, 0600));
        TRY("fchmodat", fchmodat(dir, "foreign", 0600, 0));
        TRY("chown", chown("closed/foreign", 1, 1));
        TRY("lchown", lchown("closed/foreign", 1, 1));
        TRY("fchown", fchown(fd, 1, 1));
        TRY("fchownat", fchownat(dir, "foreign", 1, 1, 0));
        TRY("utimensat", utimensat(dir, "foreign", NULL, 0));
        TRY("futimens", futimens(fd, NULL));
        TRY("utime", utime("closed/foreign", NULL));
        TRY("utimes", utimes("closed/foreign", NULL));
        TRY("lutimes", lutimes("closed/foreign", NULL));
        TRY("futimes", futimes(fd, NULL));
        TRY("futimesat", futimesat(dir, "foreign", NULL));
        TRY("truncate", truncate("closed/foreign", 1));
        TRY("truncate", truncate64("closed/foreign", 1));
        close(fd);
}

static void through_syscall(int dir)
{
        uint64_t how[3] = {O_WRONLY | O_CREAT, 0600, 0};

        TRY("openat", syscall(SYS_openat, dir, "sys_openat", O_WRONLY | O_CREAT, 0600));
        TRY("openat2", syscall(437, dir, "sys_openat2", how, sizeof how));
        TRY("mkdirat", syscall(SYS_mkdirat, dir, "sys_mkdirat", 0700));
        TRY("unlinkat", syscall(SYS_unlinkat, dir, "file", 0));
        TRY("renameat2", syscall(SYS_renameat2, AT_FDCWD, "plain", dir, "sys_renameat2", 0));
        TRY("linkat", syscall(SYS_linkat, AT_FDCWD, "plain", dir, "sys_linkat", 0));
        TRY("symlinkat", syscall(SYS_symlinkat, "x", dir, "sys_symlinkat"));
        TRY("faccessat2", syscall(439, AT_FDCWD, "closed", W_OK, 0));
        TRY("fchmodat", syscall(SYS_fchmodat, dir, "foreign", 0600));
#if defined(__x86_64__)
        TRY("open", syscall(SYS_open, "closed/sys_open", O_WRONLY | O_CREAT, 0600));
        TRY("mkdir", syscall(SYS_mkdir, "closed/sys_mkdir", 0700));
        TRY("rename", syscall(SYS_rename, "plain", "closed/sys_rename"));
#endif
}

/* No byte may be added to a file: RLIMIT_FSIZE, getrlimit(2). */
static void writing(void)
{
        int fd = open("big", O_RDWR | O_CREAT, 0600), in = open("plain", O_RDONLY);
        char byte[] = "x";
        struct iovec part = {.iov_base = byte, .iov_len = 1};
        struct rlimit none = {0, 0};
        FILE *stream = fdopen(dup(fd), "w");
        off64_t at = 0;

        setrlimit(RLIMIT_FSIZE, &none);
        TRY("write", write(fd, "x", 1));
        TRY("pwrite", pwrite(fd, "x", 1, 0));
        TRY("pwrite", pwrite64(fd, "x", 1, 1));
        TRY("writev", writev(fd, &part, 1));
        TRY("pwritev", pwritev(fd, &part, 1, 0));
        TRY("pwritev", pwritev64(fd, &part, 1, 0));
        TRY("pwritev2", pwritev2(fd, &part, 1, 0, 0));
        TRY("pwritev2", pwritev64v2(fd, &part, 1, 0, 0));
        TRY("ftruncate", ftruncate(fd, 1));
        TRY("ftruncate", ftruncate64(fd, 1));
        TRY("fallocate", fallocate(fd, 0, 0, 1));
        TRY("fallocate", fallocate64(fd, 0, 0, 1));
        TRY("sendfile", sendfile(fd, in, NULL, 1));
        TRY("sendfile", sendfile64(fd, in, &at, 1));
        TRY("copy_file_range", copy_file_range(in, &at, fd, NULL, 1, 0));
        TRY("copy_file_range", syscall(SYS_copy_file_range, in, &at, fd, NULL, 1UL, 0UL));
        TRY("write", syscall(SYS_write, fd, "x", 1UL));
        fputs("x", stream);
        TRY("fflush", fflush(stream));
        /* These return the error. */
        errno = posix_fallocate(fd, 0, 1);
        show("posix_fallocate", -1);
        errno = posix_fallocate64(fd, 0, 1);
        show("posix_fallocate", -1);
}

static void running_out(void)
{
        struct rlimit few = {16, 16};
        int fds[2];

        setrlimit(RLIMIT_NOFILE, &few);
        while (dup(0) >= 0)
                ;
        show("dup", -1);
        TRY("open", open("plain", O_RDONLY));
        TRY("socket", socket(AF_INET, SOCK_STREAM, 0));
        TRY("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
        TRY("pipe", pipe(fds));
        TRY("pipe2", pipe2(fds, O_CLOEXEC));
        TRY("fcntl", fcntl(0, F_DUPFD_CLOEXEC, 3));
        TRY_STREAM("opendir", opendir("closed"));
        close(5);
        usleep(200000); /* the relay looks at the limits of a process that lives */
}

int main(int argc, char **argv)
{
        int dir;

        if (argc != 2 || chdir(argv[1]) < 0)
                return 2;
        signal(SIGXFSZ, SIG_IGN);
        dir = open("closed", O_RDONLY | O_DIRECTORY);
        opening(dir);
        temporary();
        naming(dir);
        asking(dir);
        changing(dir);
        through_syscall(dir);
        TRY("execve", execl("plain", "plain", (char *)NULL));
        fflush(stdout);
        /* Standard output is no file of the disk here, or it could not grow either. */
        writing();
        running_out();
        return 0;
}
