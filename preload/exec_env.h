/* The environment that a new program gets. Keeps a copy of what this process was started with (the
 * library in LD_PRELOAD, our variables, the trust of an inspected run) and puts back what a program
 * has removed. Everything here may run between vfork(2) and execve(2): it reads what the
 * constructor stored and writes only to memory of the caller. */
#ifndef PRELOAD_EXEC_ENV_H
#define PRELOAD_EXEC_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copy what is to be put back from environ. Called once, by the constructor. */
void exec_env_save(void);

/* The value that this variable had when the process started, NULL if it had none. For variables of
 * ours only. */
const char *exec_env_saved(const char *name);

/* What env holds and lacks: made by exec_env_look, used by exec_env_build. */
struct exec_env {
        char *const *env; /* borrowed */
        size_t count;
        const char *preload; /* value of the last LD_PRELOAD, the one that ld.so takes, or NULL */
        size_t preload_at, preload_len;
        uint64_t present; /* a bit for each variable that was saved */
        bool cleaned;     /* no variable of ours is left: the program has made a new environment */
        bool load;
};

/* Look what has to change in env, which may be NULL, before it is handed to a program that can load
 * the library (load) or must not try to. Returns the bytes that exec_env_build needs; 0: nothing
 * has to change. */
size_t exec_env_look(struct exec_env *e, char *const env[], bool load);

/* Room for that: on the caller's stack, or mapped if it is much; NULL if there is none to be had.
 * What is mapped in a child of vfork(2) stays behind in the parent if the exec succeeds. */
#define exec_env_take(size)                                                                        \
        ((size) <= EXEC_ENV_ON_STACK ? __builtin_alloca(size) : exec_env_map(size))
enum { EXEC_ENV_ON_STACK = 16384 }; /* some 2,000 variables; threads may have little more */
void *exec_env_map(size_t size);
/* Give back what exec_env_take(size) gave; NULL allowed. Keeps errno. */
void exec_env_give(void *room, size_t size);

/* Make the new environment in room, which is aligned for pointers. It borrows env's strings. */
char **exec_env_build(const struct exec_env *e, void *room);

#endif
