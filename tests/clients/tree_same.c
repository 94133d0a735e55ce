/* Prints what a program can see of calls that start others, those that fail above all: results,
 * errno, and its own environment afterwards. Must print the same with and without tapline. Used by
 * test_process_tree.py. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern int execveat(int dir, const char *path, char *const argv[], char *const env[], int flags);

static char name[] = "true", *args[] = {name, NULL}, *none[] = {NULL};
static const char *const volatile no_path; /* hidden from the compiler */

static void show(const char *what, int result)
{
        printf("%s: %d, errno %d\n", what, result, errno);
}

static void failures(void)
{
        pid_t pid = 12;

        show("execve, not there", execve("/no/such/program", args, none));
        show("execve, a directory", execve("/", args, none));
        show("execve, not executable", execve("/etc/passwd", args, none));
        show("execve, no path", execve(no_path, args, none));
        show("execve, too long", execve(memset(calloc(1, 6000), 'x', 5999), args, none));
        show("execv, empty", execv("", args));
        show("execvp, not there", execvp("no-such-program-anywhere", args));
        show("execvp, empty", execvp("", args));
        show("execvpe, not there", execvpe("no-such-program-anywhere", args, none));
        show("execl, not there", execl("/no/such/program", "x", (char *)NULL));
        show("execlp, not there", execlp("no-such-program-anywhere", "x", (char *)NULL));
        show("execle, not there", execle("/no/such/program", "x", (char *)NULL, none));
        show("fexecve, no descriptor", fexecve(-1, args, none));
        show("fexecve, not a program", fexecve(open("/etc/passwd", O_RDONLY), args, none));
        show("execveat, not a directory", execveat(-1, "x", args, none, 0));
        show("execveat, wrong flags", execveat(AT_FDCWD, "/bin/true", args, none, 0x40000000));
        printf("spawn: %d %d\n", posix_spawn(&pid, "/no/such/program", NULL, NULL, args, none),
               pid);
        printf("spawnp: %d %d\n", posix_spawnp(&pid, "no-such-program", NULL, NULL, args, none),
               pid);
        show("popen, wrong mode", popen("true", "x") == NULL ? -1 : 0);
}

/* errno of a call that went well, and what the program finds in its own environment. */
static void successes(void)
{
        char **before;
        pid_t pid;
        int status;

        clearenv();
        setenv("MINE", "yes", 1);
        before = environ;
        errno = 77;
        printf("system: %d, errno %d\n", system("exit 3") >> 8, errno);
        printf("system(NULL): %d\n", system(NULL));
        printf("pclose: %d\n", pclose(popen("exit 4", "r")) >> 8);
        if (posix_spawn(&pid, "/bin/true", NULL, NULL, args, environ) != 0 ||
            waitpid(pid, &status, 0) != pid)
                status = -1;
        printf("spawned: %d\n", status);
        printf("environ is %s\n", environ == before ? "the same" : "another");
        for (char **e = environ; *e != NULL; e++)
                puts(*e);
}

int main(void)
{
        setvbuf(stdout, NULL, _IOLBF, 0);
        failures();
        successes();
        return 0;
}
