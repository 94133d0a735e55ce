/* Runs the command; see supervise.h. */
#include "cli/supervise.h"
#include "cli/capture.h"
#include "cli/commands.h"
#include "cli/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static sigset_t original;

/* What is passed on, or waited for. SIGPIPE and synchronous signals keep their meaning. */
static void signals_of_interest(sigset_t *set)
{
        static const int numbers[] = {SIGCHLD, SIGINT,  SIGTERM,  SIGHUP, SIGQUIT,
                                      SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

        sigemptyset(set);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
                sigaddset(set, numbers[i]);
}

void supervise_prepare(void)
{
        sigset_t set;

        signals_of_interest(&set);
        sigprocmask(SIG_BLOCK, &set, &original);
}

void supervise_restore(void)
{
        sigprocmask(SIG_SETMASK, &original, NULL);
}

static void exec_command(char **command, char **env, int report)
{
        int error;

        supervise_restore();
        environ = env;
        execvp(command[0], command);
        error = errno;
        while (write(report, &error, sizeof error) < 0 && errno == EINTR)
                ;
        _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static void note_end(struct outcome *out, int status)
{
        out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        out->status = WIFSIGNALED(status) ? 128 + out->signal : WEXITSTATUS(status);
}

/* Take up what the command did. Returns 1 when it has ended. */
static int reap(pid_t command, struct outcome *out)
{
        int status;
        pid_t pid = waitpid(command, &status, WNOHANG | WUNTRACED);

        if (pid != command)
                return 0;
        if (WIFSTOPPED(status)) {
                kill(getpid(), SIGSTOP); /* the shell waits for us: stop with it, as one job */
                return 0;
        }
        note_end(out, status);
        return 1;
}

/* A signal from the terminal has reached the whole process group already (si_code SI_KERNEL); one
 * that was sent to us alone is meant for the command. */
static void pass_on(pid_t command, const siginfo_t *info)
{
        if (info->si_signo != SIGCHLD && info->si_code != SI_KERNEL)
                kill(command, info->si_signo);
}

static void wait_for(pid_t command, struct outcome *out)
{
        sigset_t set;
        siginfo_t info;

        signals_of_interest(&set);
        while (!reap(command, out)) {
                if (sigwaitinfo(&set, &info) < 0)
                        continue;
                pass_on(command, &info);
        }
}

static void take_output(const struct capture *capture)
{
        for (int i = 0; capture != NULL && i < 2; i++)
                if (capture->output[i] >= 0)
                        dup2(capture->output[i], STDOUT_FILENO + i);
}

int supervise_command(char **command, char **env, struct capture *capture, struct outcome *out)
{
        int report[2], result = 0;
        pid_t pid;

        int64_t kills = oom_count();

        *out = (struct outcome){0};
        if (pipe2(report, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                take_output(capture);
                exec_command(command, env, report[1]);
        }
        if (capture != NULL)
                capture_release(capture);
        if (pid < 0)
                result = -errno;
        close(report[1]);
        if (pid > 0) {
                if (read(report[0], &out->exec_error, sizeof out->exec_error) !=
                    sizeof out->exec_error)
                        out->exec_error = 0;
                wait_for(pid, out);
                out->oom_kills = kills >= 0 ? oom_count() - kills : 0;
        }
        close(report[0]);
        return result;
}
