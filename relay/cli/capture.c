/* See capture.h. */
#include "cli/capture.h"
#include "cli/claims.h"
#include "cli/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { CHUNK = 65536 };

/* One way out of the command. */
struct source {
        int from;    /* we read here; -1: it has ended */
        int to;      /* and write here: 1 or 2 */
        bool is_pty; /* to is a terminal, from a pseudoterminal's master */
        struct claims claims;
};

struct reader {
        struct source sources[2];
        size_t count;
        int stop, drained, winch;
        bool stopping; /* the command has ended */
};

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

/* ---- in the supervisor ---- */

/* A pseudoterminal like the terminal fd. Returns 0 or -errno. */
static int open_pty(int fd, int *master, int *slave)
{
        struct termios settings;
        struct winsize size;
        char name[64];

        *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (*master < 0)
                return -errno;
        if (grantpt(*master) < 0 || unlockpt(*master) < 0 ||
            ptsname_r(*master, name, sizeof name) != 0) {
                close_fd(master);
                return -EIO;
        }
        *slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (*slave < 0) {
                close_fd(master);
                return -errno;
        }
        if (tcgetattr(fd, &settings) == 0) {
                settings.c_oflag &= ~(tcflag_t)OPOST;
                tcsetattr(*slave, TCSANOW, &settings);
        }
        if (ioctl(fd, TIOCGWINSZ, &size) == 0)
                ioctl(*master, TIOCSWINSZ, &size);
        return 0;
}

static int open_source(int fd, struct source *out, int *given)
{
        int pipes[2], result;

        *out = (struct source){.from = -1, .to = fd, .is_pty = isatty(fd)};
        if (out->is_pty) {
                result = open_pty(fd, &out->from, given);
                return result;
        }
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return -errno;
        out->from = pipes[0];
        *given = pipes[1];
        return 0;
}

static bool is_same(int a, int b)
{
        struct stat x, y;

        return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
               x.st_ino == y.st_ino && x.st_rdev == y.st_rdev;
}

static bool is_open(int fd)
{
        return fcntl(fd, F_GETFD) >= 0;
}

static int open_sources(struct reader *r, struct capture *c)
{
        bool both = is_same(STDOUT_FILENO, STDERR_FILENO);
        int result = 0;

        for (int fd = STDOUT_FILENO; result == 0 && fd <= STDERR_FILENO; fd++) {
                if (!is_open(fd) || (fd == STDERR_FILENO && both))
                        continue;
                result = open_source(fd, &r->sources[r->count], &c->output[fd - 1]);
                r->sources[r->count].claims.stream = both                  ? "both"
                                                     : fd == STDOUT_FILENO ? "stdout"
                                                                           : "stderr";
                r->count += result == 0;
        }
        if (both && result == 0)
                c->output[1] = fcntl(c->output[0], F_DUPFD_CLOEXEC, 3);
        return result;
}

/* ---- in the process that reads ---- */

/* A terminal may have been made non-blocking by a program that shares it. */
static bool write_all(int fd, const char *data, size_t len)
{
        while (len > 0) {
                ssize_t n = write(fd, data, len);

                if (n < 0 && errno == EAGAIN)
                        poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000);
                else if (n < 0 && errno != EINTR)
                        return false;
                data += n > 0 ? n : 0;
                len -= n > 0 ? (size_t)n : 0;
        }
        return true;
}

/* Whoever reads behind us has gone (EPIPE): the command shall find that out in its next write. A
 * pseudoterminal ends with EIO. */
static void pass_on(struct reader *r, struct source *s)
{
        static char chunk[CHUNK];
        ssize_t n = read(s->from, chunk, sizeof chunk);

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n > 0 && !r->stopping)
                claims_feed(&s->claims, chunk, (size_t)n);
        if (n <= 0 || !write_all(s->to, chunk, (size_t)n))
                close_fd(&s->from);
}

/* The command is in our process group: it looks again when the size is right. */
static void resize(struct reader *r)
{
        struct signalfd_siginfo info;
        struct winsize now, old;

        while (read(r->winch, &info, sizeof info) > 0)
                ;
        for (size_t i = 0; i < r->count; i++) {
                struct source *s = &r->sources[i];

                if (!s->is_pty || s->from < 0 || ioctl(s->to, TIOCGWINSZ, &now) < 0 ||
                    ioctl(s->from, TIOCGWINSZ, &old) < 0 ||
                    (now.ws_row == old.ws_row && now.ws_col == old.ws_col))
                        continue;
                ioctl(s->from, TIOCSWINSZ, &now);
                kill(0, SIGWINCH);
        }
}

static bool is_over(const struct reader *r)
{
        for (size_t i = 0; i < r->count; i++)
                if (r->sources[i].from >= 0)
                        return false;
        return true;
}

/* Nothing more is there that was written before the end. */
static void finish(struct reader *r)
{
        for (size_t i = 0; i < r->count; i++)
                claims_end(&r->sources[i].claims);
        close_fd(&r->stop);
        close_fd(&r->drained);
        r->stopping = true;
}

/* One turn. Returns false when nothing was there to be read. */
static bool turn(struct reader *r, int timeout_ms, bool *stop)
{
        struct pollfd waiting[4] = {{.fd = r->winch, .events = POLLIN},
                                    {.fd = r->stop, .events = POLLIN}};
        bool any = false;

        for (size_t i = 0; i < r->count; i++)
                waiting[2 + i] = (struct pollfd){.fd = r->sources[i].from, .events = POLLIN};
        if (poll(waiting, 2 + r->count, timeout_ms) <= 0)
                return false;
        if (waiting[0].revents != 0)
                resize(r);
        *stop = waiting[1].revents != 0;
        for (size_t i = 0; i < r->count; i++)
                if (waiting[2 + i].revents != 0) {
                        pass_on(r, &r->sources[i]);
                        any = true;
                }
        return any;
}

static void read_until_end(struct reader *r)
{
        bool stop = false;

        while (!is_over(r)) {
                bool any = turn(r, stop ? 0 : -1, &stop);

                if (stop && !any && !r->stopping)
                        finish(r);
                stop = stop && !r->stopping;
        }
        if (!r->stopping)
                finish(r);
}

/* The terminal's signals are meant for the command; its last words have to get through. */
static void serve(struct reader *r)
{
        static const int ignored[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,
                                      SIGTSTP, SIGPIPE, SIGTTOU, SIGTTIN};
        sigset_t winch;

        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                signal(ignored[i], SIG_IGN);
        supervise_restore();
        sigemptyset(&winch);
        sigaddset(&winch, SIGWINCH);
        sigprocmask(SIG_BLOCK, &winch, NULL);
        r->winch = signalfd(-1, &winch, SFD_CLOEXEC | SFD_NONBLOCK);
        close(STDIN_FILENO);
        read_until_end(r);
        _exit(0);
}

/* ---- in the supervisor again ---- */

static int start_reader(struct capture *c, struct reader *r)
{
        int stop[2], drained[2];

        if (pipe2(stop, O_CLOEXEC) < 0)
                return -errno;
        if (pipe2(drained, O_CLOEXEC) < 0) {
                close(stop[0]);
                close(stop[1]);
                return -errno;
        }
        c->pid = fork();
        if (c->pid == 0) {
                close(stop[1]);
                close(drained[0]);
                close_fd(&c->output[0]);
                close_fd(&c->output[1]);
                r->stop = stop[0];
                r->drained = drained[1];
                serve(r);
        }
        close(stop[0]);
        close(drained[1]);
        c->stop = stop[1];
        c->drained = drained[0];
        return c->pid < 0 ? -errno : 0;
}

int capture_start(struct capture *c, const struct catalogue *catalogue, struct record *rec)
{
        static struct reader r; /* some 8 KB of lines */
        int result;

        *c = (struct capture){.output = {-1, -1}, .pid = -1, .stop = -1, .drained = -1};
        r = (struct reader){.stop = -1, .drained = -1, .winch = -1};
        result = open_sources(&r, c);
        for (size_t i = 0; i < r.count; i++) {
                r.sources[i].claims.catalogue = catalogue;
                r.sources[i].claims.record = rec;
        }
        if (result == 0)
                result = record_flush(rec);
        if (result == 0)
                result = start_reader(c, &r);
        for (size_t i = 0; i < r.count; i++)
                close_fd(&r.sources[i].from);
        if (result < 0) {
                capture_release(c);
                close_fd(&c->stop);
                close_fd(&c->drained);
        }
        return result;
}

void capture_release(struct capture *c)
{
        close_fd(&c->output[0]);
        close_fd(&c->output[1]);
}

void capture_finish(struct capture *c)
{
        struct pollfd waiting = {.fd = c->drained, .events = POLLIN};

        capture_release(c);
        close_fd(&c->stop);
        if (c->drained >= 0)
                while (poll(&waiting, 1, CAPTURE_DRAIN_MS) < 0 && errno == EINTR)
                        ;
        close_fd(&c->drained);
}
