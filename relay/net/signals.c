/* Signals as events of the loop; see signals.h. */
#include "net/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int held[] = {SIGTERM, SIGINT, SIGHUP};

static void mask(int how, const sigset_t *but)
{
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < sizeof held / sizeof *held; i++)
                if (but == NULL || sigismember(but, held[i]) == 0)
                        sigaddset(&set, held[i]);
        sigprocmask(how, &set, NULL);
}

void signals_hold(void)
{
        mask(SIG_BLOCK, NULL);
}

void signals_release(void)
{
        mask(SIG_UNBLOCK, NULL);
}

static void ready(struct watch *w, uint32_t events)
{
        struct signals *signals = (struct signals *)w;
        struct signalfd_siginfo info;

        (void)events;
        while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
                signals->told(signals, (int)info.ssi_signo);
}

int signals_start(struct signals *signals, struct loop *loop, const sigset_t *wanted)
{
        int fd = signalfd(-1, wanted, SFD_CLOEXEC | SFD_NONBLOCK), result;

        if (fd < 0)
                return -errno;
        signals->watch = (struct watch){.ready = ready, .fd = fd};
        result = loop_add_level(loop, &signals->watch);
        if (result < 0) {
                close(fd);
                signals->watch.fd = -1;
                return result;
        }
        mask(SIG_UNBLOCK, wanted);
        return 0;
}

void signals_stop(struct signals *signals, struct loop *loop)
{
        int fd = signals->watch.fd;

        if (fd < 0)
                return;
        loop_remove(loop, &signals->watch);
        close(fd);
}
