/* posix_spawn(3) and posix_spawnp(3), which glibc carries out without a call that could be hooked.
 * A program that will not be covered is reported once it runs. Programs built before glibc 2.15
 * asked for a version of these that handed files without #! to the shell; they get today's. */
#include "exec_env.h"
#include "files.h"
#include "real.h"
#include "sys.h"
#include "uncovered.h"

#include <fcntl.h>
#include <spawn.h>

typedef int spawn_function(pid_t *restrict pid, const char *restrict path,
                           const posix_spawn_file_actions_t *restrict actions,
                           const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                           char *const env[restrict]);

/* What the caller gives to posix_spawn, but for the environment. */
struct call {
        spawn_function *function;
        pid_t *pid;
        const char *path;
        const posix_spawn_file_actions_t *actions;
        const posix_spawnattr_t *attributes;
        char *const *argv;
};

/* They return the error instead of setting errno. */
static void failed(const struct call *c, int error)
{
        int saved = errno;

        errno = error;
        if (c->function == REAL(posix_spawnp))
                files_failed_search("posix_spawn", c->path);
        else
                files_failed_exec("posix_spawn", AT_FDCWD, c->path);
        errno = saved;
}

static int run(const struct call *c, const struct program *target, char *const env[])
{
        struct exec_env e;
        size_t size = exec_env_look(&e, env, !program_is_disturbed(target->reason));
        void *room = NULL;
        int result;

        if (size > 0)
                room = exec_env_take(size);
        if (room != NULL)
                env = exec_env_build(&e, room);
        result = c->function(c->pid, c->path, c->actions, c->attributes, c->argv, env);
        if (result == 0)
                uncovered_report(target, c->path, c->argv);
        else
                failed(c, result);
        exec_env_give(room, size);
        return result;
}

EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
                       const posix_spawn_file_actions_t *restrict actions,
                       const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                       char *const env[restrict])
{
        struct program target;

        if (!uncovered_is_silent(&target))
                program_look(AT_FDCWD, path, &target);
        return run(&(struct call){REAL(posix_spawn), pid, path, actions, attributes, argv}, &target,
                   env);
}

EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
                        const posix_spawn_file_actions_t *restrict actions,
                        const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                        char *const env[restrict])
{
        struct program target;

        if (!uncovered_is_silent(&target))
                program_search(file, &target);
        return run(&(struct call){REAL(posix_spawnp), pid, file, actions, attributes, argv},
                   &target, env);
}
