/* One side of a flow: its socket's options, and what is queued for it; see flow.h. */
#include "net/flow.h"
#include "net/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void side_reset_if_killed(int fd)
{
        static const struct linger now = {.l_onoff = 1};

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void side_set_probes(const struct relay *relay, int fd)
{
        int one = 1, seconds = relay->options->limits.keepalive_s;

        if (seconds <= 0)
                return;
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
}

void side_set_options(const struct relay *relay, int fd)
{
        int one = 1;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        side_reset_if_killed(fd);
        side_set_probes(relay, fd);
}

int side_queue(struct side *side, const char *data, size_t len)
{
        char *more;

        if (len == 0)
                return 0;
        more = realloc(side->out, side->out_len + len);
        if (more == NULL) {
                flow_break(side->flow, ENOMEM, "out of memory");
                return -ENOMEM;
        }
        memcpy(more + side->out_len, data, len);
        side->out = more;
        side->out_len += len;
        return 0;
}

void side_blocked(struct side *side)
{
        loop_want_writable(worker_loop(side->flow), &side->watch);
}

int side_flush(struct side *side)
{
        while (side->out_sent < side->out_len) {
                ssize_t n = send(side->fd, side->out + side->out_sent,
                                 side->out_len - side->out_sent, MSG_NOSIGNAL);

                if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                        side_blocked(side);
                        return -EAGAIN;
                }
                if (n < 0)
                        return -errno;
                side->out_sent += (size_t)n;
        }
        free(side->out);
        side->out = NULL;
        side->out_len = side->out_sent = 0;
        return 0;
}

void side_abort(struct side *side)
{
        side->reset = true;
}

void side_close_fd(struct side *side)
{
        static const struct linger in_order = {.l_onoff = 0}, now = {.l_onoff = 1};

        if (side->fd < 0)
                return;
        setsockopt(side->fd, SOL_SOCKET, SO_LINGER, side->reset ? &now : &in_order, sizeof now);
        loop_forget(&side->watch);
        close(side->fd);
        side->fd = -1;
}

void side_count(struct side *side, size_t n)
{
        __atomic_store_n(&side->received, side->received + n, __ATOMIC_RELAXED);
}

uint64_t side_received(const struct side *side)
{
        return __atomic_load_n(&side->received, __ATOMIC_RELAXED);
}

void side_was_read(struct side *side, ssize_t n, size_t asked)
{
        if (n < 0 || (n > 0 && (size_t)n < asked && !side->ending))
                side->readable = false;
}
