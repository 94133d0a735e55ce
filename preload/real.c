/* Looks up the real functions; see real.h. */
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

_Atomic(void *) real_table[REAL_COUNT];

/* Without pointers, which the linker would have to relocate at every start of every program. */
static const struct {
#define X(name) char text_##name[sizeof #name];
        REAL_FUNCTIONS(X)
#undef X
} names = {
#define X(name) #name,
        REAL_FUNCTIONS(X)
#undef X
};

static const unsigned short offsets[REAL_COUNT] = {
#define X(name) [REAL_##name] = offsetof(__typeof__(names), text_##name),
        REAL_FUNCTIONS(X)
#undef X
};

static const char *name_of(enum real_id id)
{
        return (const char *)&names + offsets[id];
}

/* Stands in for a symbol that is nowhere: -1 is the failure of every function in the table that can
 * be missing (renameat2, copy_file_range and the like on an old libc). */
static long missing(void)
{
        errno = ENOSYS;
        return -1;
}

void *real_resolve(enum real_id id)
{
        int saved = errno;
        void *function = dlsym(RTLD_NEXT, name_of(id));

        if (function == NULL)
                function = (void *)missing;
        atomic_store_explicit(&real_table[id], function, memory_order_relaxed);
        errno = saved;
        return function;
}

void real_resolve_exec(void)
{
        static const enum real_id ids[] = {REAL_execve,  REAL_execvpe, REAL_fexecve, REAL_prctl,
                                           REAL_syscall, REAL_close,   REAL_dup};

        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
                real_resolve(ids[i]);
}

void real_resolve_all(void)
{
        for (size_t id = 0; id < REAL_COUNT; id++)
                real_get(id);
}

void *real_named(const char *name)
{
        for (size_t id = 0; id < REAL_COUNT; id++)
                if (strcmp(name_of(id), name) == 0)
                        return atomic_load_explicit(&real_table[id], memory_order_relaxed);
        return NULL;
}
