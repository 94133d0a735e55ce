/* Starts a program in one of the ways there are, with an environment that has been cleaned first.
 * Usage: tree_exec WAY PROGRAM ARGUMENT. The exit status is the program's. Used by
 * test_process_tree.py. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *none[] = {NULL};
static char *path, *base, *argument;
static char **args;

static int status_of(int status)
{
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int wait_for(pid_t pid)
{
        int status;

        return waitpid(pid, &status, 0) == pid ? status_of(status) : 127;
}

static int by_execve(void)
{
        return execve(path, args, none);
}

static int by_execv(void)
{
        return execv(path, args);
}

static int by_execvp(void)
{
        return execvp(base, args);
}

static int by_execvpe(void)
{
        return execvpe(base, args, none);
}

static int by_execl(void)
{
        return execl(path, path, argument, (char *)NULL);
}

static int by_execlp(void)
{
        return execlp(base, path, argument, (char *)NULL);
}

static int by_execle(void)
{
        return execle(path, path, argument, (char *)NULL, none);
}

static int by_fexecve(void)
{
        return fexecve(open(path, O_RDONLY | O_CLOEXEC), args, none);
}

static int by_fexecve_of_a_path_descriptor(void)
{
        return fexecve(open(path, O_PATH | O_CLOEXEC), args, none);
}

static int by_execveat(void)
{
        *strrchr(path, '/') = '\0';
        return execveat(open(path, O_PATH | O_DIRECTORY), base, args, none, 0);
}

static int by_execveat_empty(void)
{
        return execveat(open(path, O_RDONLY | O_CLOEXEC), "", args, none, AT_EMPTY_PATH);
}

static int by_vfork(void)
{
        pid_t pid = vfork();

        if (pid == 0) {
                execve(path, args, none);
                _exit(127);
        }
        return wait_for(pid);
}

static int by_spawn(void)
{
        pid_t pid;

        return posix_spawn(&pid, path, NULL, NULL, args, none) == 0 ? wait_for(pid) : 127;
}

static int by_spawnp(void)
{
        pid_t pid;

        return posix_spawnp(&pid, base, NULL, NULL, args, environ) == 0 ? wait_for(pid) : 127;
}

static char *command(void)
{
        char *line = malloc(strlen(path) + strlen(argument) + 2);

        sprintf(line, "%s %s", path, argument);
        return line;
}

static int by_system(void)
{
        return status_of(system(command()));
}

static int by_popen(void)
{
        FILE *stream = popen(command(), "r");
        int c;

        while (stream != NULL && (c = getc(stream)) != EOF)
                putchar(c);
        return stream != NULL ? status_of(pclose(stream)) : 127;
}

/* More variables than fit on a stack. */
static int by_execve_with_much(void)
{
        enum { MANY = 5000 };
        static char *env[MANY + 1], entry[] = "SOME=THING";

        for (int i = 0; i < MANY; i++)
                env[i] = entry;
        return execve(path, args, env);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                int (*start)(void);
        } ways[] = {
                {"execve", by_execve},
                {"execv", by_execv},
                {"execvp", by_execvp},
                {"execvpe", by_execvpe},
                {"execl", by_execl},
                {"execlp", by_execlp},
                {"execle", by_execle},
                {"fexecve", by_fexecve},
                {"fexecve-path", by_fexecve_of_a_path_descriptor},
                {"execveat", by_execveat},
                {"execveat-empty", by_execveat_empty},
                {"vfork", by_vfork},
                {"spawn", by_spawn},
                {"spawnp", by_spawnp},
                {"system", by_system},
                {"popen", by_popen},
                {"much", by_execve_with_much},
        };

        if (argc != 4 || argv[2][0] != '/')
                return 2;
        path = strdup(argv[2]);
        base = strrchr(argv[2], '/') + 1;
        argument = argv[3];
        args = argv + 2;
        clearenv();
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
                if (strcmp(argv[1], ways[i].name) == 0)
                        return ways[i].start();
        return 2;
}
