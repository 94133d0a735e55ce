/* The functions that ours stand in front of. Found with dlsym(RTLD_NEXT) at first use, so that
 * other preloaded libraries keep their place in the chain, and kept in one table of atomics.
 * No lock: two threads may look up the same symbol and store the same answer. */
#ifndef PRELOAD_REAL_H
#define PRELOAD_REAL_H

#include <stdatomic.h>
#include <stddef.h>

/* REAL(name) has the declared type of each. Laid out by hand: the formatter makes a staircase. */
/* clang-format off */
#define REAL_FUNCTIONS(X) \
        X(connect) X(getpeername) X(getsockname) X(getsockopt) X(getaddrinfo) X(send) X(sendto) \
        X(sendmsg) X(sendmmsg) X(read) X(__read_chk) X(readv) X(recv) X(__recv_chk) \
        X(recvfrom) X(__recvfrom_chk) X(recvmsg) X(gethostbyname) X(gethostbyname2) \
        X(gethostbyname_r) X(gethostbyname2_r) X(open) X(open64) X(openat) X(openat64) \
        X(creat) X(creat64) X(__open_2) X(__open64_2) X(__openat_2) X(__openat64_2) \
        X(fopen) X(fopen64) X(freopen) X(freopen64) X(mkstemp) X(mkstemp64) X(mkostemp) \
        X(mkostemp64) X(mkstemps) X(mkstemps64) X(mkostemps) X(mkostemps64) X(mkdtemp) \
        X(tmpfile) X(tmpfile64) X(mkdir) X(mkdirat) X(rmdir) X(rename) X(renameat) \
        X(renameat2) X(link) X(linkat) X(symlink) X(symlinkat) X(unlink) X(unlinkat) \
        X(remove) X(access) X(faccessat) X(chmod) X(fchmod) X(fchmodat) X(utimensat) \
        X(futimens) X(truncate) X(truncate64) X(flock) X(lockf) X(lockf64) X(fcntl) \
        X(fcntl64) X(write) X(pwrite) X(pwrite64) X(writev) X(pwritev) X(pwritev64) \
        X(ftruncate) X(ftruncate64) X(posix_fallocate) X(posix_fallocate64) \
        X(copy_file_range) X(sendfile) X(sendfile64) X(execve) X(execvpe) X(execveat) \
        X(mkfifo) X(mkfifoat) X(mknod) X(mknodat) X(eaccess) X(euidaccess) X(chown) \
        X(lchown) X(fchown) X(fchownat) X(utime) X(utimes) X(lutimes) X(futimes) \
        X(futimesat) X(pwritev2) X(pwritev64v2) X(fsync) X(fdatasync) X(syncfs) X(close) \
        X(fallocate) X(fallocate64) X(fwrite) X(fwrite_unlocked) X(fflush) X(fclose) \
        X(socket) X(socketpair) X(accept) X(accept4) X(pipe) X(pipe2) X(dup) \
        X(epoll_create1) X(opendir) \
        X(fexecve) X(posix_spawn) X(posix_spawnp) X(system) X(popen) X(prctl) X(syscall) \
        X(dlopen)
/* clang-format on */

enum real_id {
#define X(name) REAL_##name,
        REAL_FUNCTIONS(X)
#undef X
                REAL_COUNT
};

extern _Atomic(void *) real_table[REAL_COUNT];

/* Look the symbol up and store it. A symbol that no library has gives a function that fails with
 * ENOSYS, so a caller never sees NULL. Keeps errno. */
void *real_resolve(enum real_id id);

/* Look up those that a child of vfork(2) calls, or a filtered process, where the linker's lock may
 * be held by a thread that does not exist there. Called by the constructor. */
void real_resolve_exec(void);

/* Look up all of them. Keeps errno. */
void real_resolve_all(void);

/* The function of this name if it has been looked up, or NULL, also for a name that is not in the
 * table. */
void *real_named(const char *name);

static inline void *real_get(enum real_id id)
{
        void *function = atomic_load_explicit(&real_table[id], memory_order_relaxed);

        return __builtin_expect(function != NULL, 1) ? function : real_resolve(id);
}

#define REAL(name) ((__typeof__(&name))real_get(REAL_##name))

#define EXPORT __attribute__((visibility("default")))

#endif
