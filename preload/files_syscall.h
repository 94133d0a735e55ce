/* File calls that programs make through syscall(2): Rust's standard library and Node's libuv do so
 * for what is younger than the libc they were built with. Called by seccomp.c, which owns
 * syscall(). */
#ifndef PRELOAD_FILES_SYSCALL_H
#define PRELOAD_FILES_SYSCALL_H

#include <stdint.h>

enum { FILES_SYSCALL_MAX = 511 };

/* By system call number: not 0 for those that go to the functions below, and for SYS_seccomp. */
extern const uint8_t files_syscalls[FILES_SYSCALL_MAX + 1];

/* The real call, and a report if it failed. Five arguments are in registers everywhere, so that no
 * stack of a caller that gave fewer is read. */
long files_syscall(long nr, long a, long b, long c, long d, long e);
long files_syscall_copy(long nr, long a, long b, long c, long d, long e, long f);

#endif
