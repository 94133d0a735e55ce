/* system(3) and popen(3), which glibc carries out with the process's environment and without a call
 * that could be hooked. Where the program has cleaned that environment, it is exchanged for the
 * duration of the call; the program finds its own again. Not for a child of vfork(2). */
#include "exec_env.h"
#include "real.h"
#include "sys.h"
#include "uncovered.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define SHELL "/bin/sh"

/* A mapping for an environment. Other threads may be reading environ, so none is ever unmapped: one
 * is kept for the next call, and one that setenv(3) has copied from meanwhile is left there. */
struct image {
        size_t size;
};

static _Atomic(struct image *) spare;

struct exchange {
        char **theirs, **ours;
        struct image *image; /* NULL: nothing was exchanged */
};

static struct image *take_image(size_t need)
{
        struct image *image = atomic_exchange(&spare, NULL);
        size_t size = need + sizeof *image < 65536 ? 65536 : need + sizeof *image;

        if (image != NULL && image->size >= size)
                return image;
        image = exec_env_map(size);
        if (image != NULL)
                image->size = size;
        return image;
}

static void begin(struct exchange *x)
{
        struct program target;
        struct exec_env e;
        size_t size;

        if (!uncovered_is_silent(&target))
                program_look(AT_FDCWD, SHELL, &target);
        uncovered_report(&target, SHELL, NULL);
        size = exec_env_look(&e, environ, !program_is_disturbed(target.reason));
        x->image = size > 0 ? take_image(size) : NULL;
        if (x->image == NULL)
                return;
        x->theirs = environ;
        x->ours = exec_env_build(&e, x->image + 1);
        environ = x->ours;
}

static void end(const struct exchange *x)
{
        if (x->image == NULL || environ != x->ours)
                return;
        environ = x->theirs;
        atomic_store(&spare, x->image);
}

EXPORT int system(const char *command)
{
        struct exchange x;
        int result;

        begin(&x);
        result = REAL(system)(command);
        end(&x);
        return result;
}

EXPORT FILE *popen(const char *command, const char *mode)
{
        struct exchange x;
        FILE *stream;

        begin(&x);
        stream = REAL(popen)(command, mode);
        end(&x);
        return stream;
}
