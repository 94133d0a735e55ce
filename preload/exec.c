/* The exec family. Each call looks at the program first, puts back what its environment lacks, and
 * is then the real call. May run between vfork(2) and exec, so it writes only to the stack. glibc's
 * execl(3) and execv(3) kin call execve(2) inside themselves: they end in the real execve and
 * execvpe. */
#include "exec_env.h"
#include "files.h"
#include "real.h"
#include "sys.h"
#include "uncovered.h"

#include <fcntl.h>
#include <stdarg.h>

/* unistd.h has it since glibc 2.34. */
int execveat(int dir, const char *path, char *const argv[], char *const env[], int flags);

/* A call of the family: how it names the program. */
struct call {
        enum { BY_PATH, BY_SEARCH, BY_FD, BY_DIRECTORY } how;
        const char *path;
        int fd; /* the program or the directory */
        int flags;
};

static void look(const struct call *c, struct program *out)
{
        if (uncovered_is_silent(out))
                return;
        switch (c->how) {
        case BY_PATH:
                program_look(AT_FDCWD, c->path, out);
                return;
        case BY_SEARCH:
                program_search(c->path, out);
                return;
        case BY_FD:
                program_look_fd(c->fd, out);
                return;
        case BY_DIRECTORY:
                if ((c->flags & AT_EMPTY_PATH) != 0 && c->path != NULL && c->path[0] == '\0')
                        program_look_fd(c->fd, out);
                else
                        program_look(c->fd, c->path, out);
                return;
        }
}

static int call_real(const struct call *c, char *const argv[], char *const env[])
{
        switch (c->how) {
        case BY_PATH:
                return REAL(execve)(c->path, argv, env);
        case BY_SEARCH:
                return REAL(execvpe)(c->path, argv, env);
        case BY_FD:
                return REAL(fexecve)(c->fd, argv, env);
        case BY_DIRECTORY:
                break;
        }
        return REAL(execveat)(c->fd, c->path, argv, env, c->flags);
}

static void failed(const struct call *c)
{
        if (c->how == BY_DIRECTORY)
                files_failed_exec("execveat", c->fd, c->path);
        else if (c->how == BY_PATH)
                files_failed_exec("execve", AT_FDCWD, c->path);
        else if (c->how == BY_SEARCH)
                files_failed_search("execvp", c->path);
}

static int run(const struct call *c, char *const argv[], char *const env[])
{
        int saved = errno, result;
        struct program target;
        struct exec_env e;
        size_t size;
        void *room = NULL;

        look(c, &target);
        uncovered_report(&target, c->path, argv);
        size = exec_env_look(&e, env, !program_is_disturbed(target.reason));
        if (size > 0)
                room = exec_env_take(size);
        if (room != NULL)
                env = exec_env_build(&e, room);
        errno = saved;
        result = call_real(c, argv, env);
        failed(c);
        exec_env_give(room, size);
        return result;
}

EXPORT int execve(const char *path, char *const argv[], char *const env[])
{
        return run(&(struct call){.how = BY_PATH, .path = path}, argv, env);
}

EXPORT int execv(const char *path, char *const argv[])
{
        return run(&(struct call){.how = BY_PATH, .path = path}, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[])
{
        return run(&(struct call){.how = BY_SEARCH, .path = file}, argv, environ);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const env[])
{
        return run(&(struct call){.how = BY_SEARCH, .path = file}, argv, env);
}

EXPORT int fexecve(int fd, char *const argv[], char *const env[])
{
        return run(&(struct call){.how = BY_FD, .fd = fd}, argv, env);
}

EXPORT int execveat(int dir, const char *path, char *const argv[], char *const env[], int flags)
{
        return run(&(struct call){.how = BY_DIRECTORY, .path = path, .fd = dir, .flags = flags},
                   argv, env);
}

/* Arguments in front of the NULL. */
static size_t count(const char *first, va_list *list)
{
        size_t n = 0;
        va_list from;

        va_copy(from, *list);
        for (const char *arg = first; arg != NULL; arg = va_arg(from, const char *))
                n++;
        va_end(from);
        return n;
}

/* The arguments as execv(3) takes them, and for execle(3) the environment behind their NULL. */
static int run_list(const struct call *c, const char *first, va_list *list, bool has_env)
{
        const char **argv = __builtin_alloca((count(first, list) + 1) * sizeof *argv);
        const char **at = argv;

        for (*at = first; *at != NULL; *at = va_arg(*list, const char *))
                at++;
        return run(c, (char **)argv, has_env ? va_arg(*list, char *const *) : environ);
}

EXPORT int execl(const char *path, const char *arg, ...)
{
        va_list list;
        int result;

        va_start(list, arg);
        result = run_list(&(struct call){.how = BY_PATH, .path = path}, arg, &list, false);
        va_end(list);
        return result;
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
        va_list list;
        int result;

        va_start(list, arg);
        result = run_list(&(struct call){.how = BY_SEARCH, .path = file}, arg, &list, false);
        va_end(list);
        return result;
}

EXPORT int execle(const char *path, const char *arg, ...)
{
        va_list list;
        int result;

        va_start(list, arg);
        result = run_list(&(struct call){.how = BY_PATH, .path = path}, arg, &list, true);
        va_end(list);
        return result;
}
