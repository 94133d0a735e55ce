/* Runs a seccomp filter on a system call, as the kernel will. Pure. */
#ifndef PRELOAD_BPF_H
#define PRELOAD_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* The filter's answer (SECCOMP_RET_ in the upper bits) for this call. A filter that the kernel
 * would not take gives SECCOMP_RET_KILL_PROCESS. */
uint32_t bpf_run(const struct sock_filter *code, size_t len, const struct seccomp_data *call);

#endif
