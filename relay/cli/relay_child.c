/* The relay as a child; see relay_child.h. */
#include "cli/relay_child.h"
#include "cli/confine.h"
#include "cli/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MARGIN_MS = 3000 };

/* The terminal's signals are the command's: a group of its own keeps them from the relay. Standard
 * input and output are the command's too; a pipe behind it must see its end when the command ends.
 */
static void detach(void)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        setpgid(0, 0);
        if (null < 0)
                return;
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        close(null);
}

static void serve(struct relay_options *options)
{
        struct relay *relay;

        const char *const own[] = {options->socket_path, NULL};

        detach();
        supervise_restore();
        signal(SIGHUP, SIG_IGN);
        confine(own); /* as far as this kernel goes */
        if (relay_new(&relay, options) < 0)
                _exit(1);
        relay_prepare(relay);
        relay_run(relay);
        relay_free(relay);
        record_free(options->record);
        _exit(0);
}

static int read_port(int fd, uint16_t *port)
{
        char line[16];
        ssize_t n = read(fd, line, sizeof line - 1);

        if (n <= 0)
                return -ECHILD;
        line[n] = '\0';
        *port = (uint16_t)strtoul(line, NULL, 10);
        return 0;
}

int relay_child_start(struct relay_child *child, struct relay_options *options)
{
        int lifetime[2], ready[2], result;

        if (pipe2(lifetime, O_CLOEXEC) < 0)
                return -errno;
        if (pipe2(ready, O_CLOEXEC) < 0) {
                result = -errno;
                close(lifetime[0]);
                close(lifetime[1]);
                return result;
        }
        child->pid = fork();
        if (child->pid == 0) {
                close(lifetime[1]);
                close(ready[0]);
                options->lifetime_fd = lifetime[0];
                options->ready_fd = ready[1];
                serve(options);
        }
        result = child->pid < 0 ? -errno : 0;
        close(lifetime[0]);
        close(ready[1]);
        child->lifetime = lifetime[1];
        if (result == 0)
                result = read_port(ready[0], &child->port);
        close(ready[0]);
        return result;
}

/* Wait for the child's end without SIGCHLD, which belongs to the supervisor's loop. */
static bool has_ended(pid_t pid, int timeout_ms, int *status)
{
        struct pollfd wait = {.events = POLLIN};

        wait.fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (wait.fd >= 0) {
                while (poll(&wait, 1, timeout_ms) < 0 && errno == EINTR)
                        ;
                close(wait.fd);
        } else {
                for (int waited = 0; waited < timeout_ms && kill(pid, 0) == 0; waited += 10) {
                        siginfo_t info = {.si_pid = 0};

                        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                            info.si_pid == pid)
                                break;
                        poll(NULL, 0, 10);
                }
        }
        return waitpid(pid, status, WNOHANG) == pid;
}

bool relay_child_stop(struct relay_child *child, int drain_ms)
{
        int status = 0;

        close(child->lifetime);
        child->lifetime = -1;
        if (has_ended(child->pid, drain_ms + MARGIN_MS, &status))
                return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        kill(child->pid, SIGKILL);
        waitpid(child->pid, &status, 0);
        return false;
}
