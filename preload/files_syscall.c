/* See files_syscall.h. The table says how the arguments of each call name its files. */
#include "files_syscall.h"
#include "files.h"
#include "real.h"
#include "sys.h"

#include <errno.h>

/* Since Linux 5.6, 5.8 and 6.6; headers may be older. */
#define NR_OPENAT2    437
#define NR_FACCESSAT2 439
#define NR_FCHMODAT2  452

enum shape {
        NONE,
        OTHER,  /* SYS_seccomp and SYS_copy_file_range: taken before they come here */
        OPEN,   /* path, flags */
        OPENAT, /* directory, path, flags */
        OPENAT2,
        PATH,       /* path */
        DIR_PATH,   /* directory, path */
        TWO,        /* path, path */
        DIR_TWO,    /* directory, path, directory, path */
        SECOND,     /* text, path */
        DIR_SECOND, /* text, directory, path */
        ACCESS,     /* path, mode */
        DIR_ACCESS, /* directory, path, mode */
        DESCRIPTOR, /* descriptor */
};

const uint8_t files_syscalls[FILES_SYSCALL_MAX + 1] = {
        [SYS_seccomp] = OTHER,
        [SYS_copy_file_range] = OTHER,
        [SYS_openat] = OPENAT,
        [NR_OPENAT2] = OPENAT2,
        [SYS_mkdirat] = DIR_PATH,
        [SYS_mknodat] = DIR_PATH,
        [SYS_unlinkat] = DIR_PATH,
        [SYS_renameat2] = DIR_TWO,
        [SYS_linkat] = DIR_TWO,
        [SYS_symlinkat] = DIR_SECOND,
        [NR_FACCESSAT2] = DIR_ACCESS,
        [SYS_faccessat] = DIR_ACCESS,
        [SYS_fchmodat] = DIR_PATH,
        [NR_FCHMODAT2] = DIR_PATH,
        [SYS_fchownat] = DIR_PATH,
        [SYS_utimensat] = DIR_PATH,
        [SYS_truncate] = PATH,
        [SYS_ftruncate] = DESCRIPTOR,
        [SYS_fallocate] = DESCRIPTOR,
        [SYS_fsync] = DESCRIPTOR,
        [SYS_fdatasync] = DESCRIPTOR,
        [SYS_write] = DESCRIPTOR,
        [SYS_pwrite64] = DESCRIPTOR,
        [SYS_writev] = DESCRIPTOR,
#if defined(__x86_64__)
        [SYS_open] = OPEN,
        [SYS_creat] = PATH,
        [SYS_mkdir] = PATH,
        [SYS_rmdir] = PATH,
        [SYS_unlink] = PATH,
        [SYS_mknod] = PATH,
        [SYS_rename] = TWO,
        [SYS_link] = TWO,
        [SYS_symlink] = SECOND,
        [SYS_access] = ACCESS,
        [SYS_chmod] = PATH,
        [SYS_chown] = PATH,
        [SYS_lchown] = PATH,
        [SYS_renameat] = DIR_TWO,
#endif
};

static const struct {
        int nr;
        const char *name;
} names[] = {
        {SYS_openat, "openat"},       {NR_OPENAT2, "openat2"},      {SYS_mkdirat, "mkdirat"},
        {SYS_mknodat, "mknodat"},     {SYS_unlinkat, "unlinkat"},   {SYS_renameat2, "renameat2"},
        {SYS_linkat, "linkat"},       {SYS_symlinkat, "symlinkat"}, {NR_FACCESSAT2, "faccessat2"},
        {SYS_faccessat, "faccessat"}, {SYS_fchmodat, "fchmodat"},   {NR_FCHMODAT2, "fchmodat2"},
        {SYS_fchownat, "fchownat"},   {SYS_utimensat, "utimensat"}, {SYS_truncate, "truncate"},
        {SYS_ftruncate, "ftruncate"}, {SYS_fallocate, "fallocate"}, {SYS_fsync, "fsync"},
        {SYS_fdatasync, "fdatasync"}, {SYS_write, "write"},         {SYS_pwrite64, "pwrite"},
        {SYS_writev, "writev"},
#if defined(__x86_64__)
        {SYS_open, "open"},           {SYS_creat, "creat"},         {SYS_mkdir, "mkdir"},
        {SYS_rmdir, "rmdir"},         {SYS_unlink, "unlink"},       {SYS_mknod, "mknod"},
        {SYS_rename, "rename"},       {SYS_link, "link"},           {SYS_symlink, "symlink"},
        {SYS_access, "access"},       {SYS_chmod, "chmod"},         {SYS_chown, "chown"},
        {SYS_lchown, "lchown"},       {SYS_renameat, "renameat"},
#endif
};

static const char *name_of(long nr)
{
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (names[i].nr == nr)
                        return names[i].name;
        return "syscall";
}

#define TEXT(x) ((const char *)(x))

/* open_how of openat2(2) begins with the flags. */
static int how_flags(long how)
{
        const uint64_t *flags = (const uint64_t *)how;

        return flags != NULL ? (int)*flags : 0;
}

__attribute__((cold)) static void failed(long nr, long a, long b, long c, long d)
{
        const char *name = name_of(nr);

        switch ((enum shape)files_syscalls[nr]) {
        case OPEN:
                files_failed_open(name, AT_FDCWD, TEXT(a), (int)b);
                return;
        case OPENAT:
                files_failed_open(name, (int)a, TEXT(b), (int)c);
                return;
        case OPENAT2:
                files_failed_open(name, (int)a, TEXT(b), how_flags(c));
                return;
        case PATH:
                if (errno != ENOENT)
                        files_failed_path(name, AT_FDCWD, TEXT(a));
                return;
        case DIR_PATH:
                if (errno != ENOENT)
                        files_failed_path(name, (int)a, TEXT(b));
                return;
        case TWO:
                files_failed_two(name, AT_FDCWD, TEXT(a), AT_FDCWD, TEXT(b));
                return;
        case DIR_TWO:
                files_failed_two(name, (int)a, TEXT(b), (int)c, TEXT(d));
                return;
        case SECOND:
                files_failed_path(name, AT_FDCWD, TEXT(b));
                return;
        case DIR_SECOND:
                files_failed_path(name, (int)b, TEXT(c));
                return;
        case ACCESS:
                if ((b & W_OK) != 0 && errno != ENOENT)
                        files_failed_path(name, AT_FDCWD, TEXT(a));
                return;
        case DIR_ACCESS:
                if ((c & W_OK) != 0 && errno != ENOENT)
                        files_failed_path(name, (int)a, TEXT(b));
                return;
        case DESCRIPTOR:
                files_failed_fd(name, (int)a, WIRE_INTENT_WRITE);
                return;
        case NONE:
        case OTHER:
                return;
        }
}

long files_syscall(long nr, long a, long b, long c, long d, long e)
{
        long result = REAL(syscall)(nr, a, b, c, d, e);

        if (__builtin_expect(result < 0, 0))
                failed(nr, a, b, c, d);
        return result;
}

/* EXDEV, EOPNOTSUPP and the like ask the program to copy by hand. */
long files_syscall_copy(long nr, long a, long b, long c, long d, long e, long f)
{
        long result = REAL(syscall)(nr, a, b, c, d, e, f);

        if (__builtin_expect(result < 0, 0) &&
            (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
                files_failed_fd("copy_file_range", (int)c, WIRE_INTENT_WRITE);
        return result;
}
