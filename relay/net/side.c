/* One side of a flow: its socket's options, and what is queued for it; see flow.h. */
#include "net/flow.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void side_set_options(const struct relay *relay, int fd)
{
        int one = 1, seconds = relay->options->limits.keepalive_s;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (seconds <= 0)
                return;
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
}

int side_queue(struct side *side, const char *data, size_t len)
{
        char *more;

        if (len == 0)
                return 0;
        more = realloc(side->out, side->out_len + len);
        if (more == NULL)
                return -ENOMEM;
        memcpy(more + side->out_len, data, len);
        side->out = more;
        side->out_len += len;
        return 0;
}

int side_flush(struct side *side)
{
        while (side->out_sent < side->out_len) {
                ssize_t n = send(side->fd, side->out + side->out_sent,
                                 side->out_len - side->out_sent, MSG_NOSIGNAL);

                if (n < 0)
                        return errno == EINTR ? -EAGAIN : -errno;
                side->out_sent += (size_t)n;
        }
        free(side->out);
        side->out = NULL;
        side->out_len = side->out_sent = 0;
        return 0;
}

void side_abort(struct side *side)
{
        struct linger now = {.l_onoff = 1, .l_linger = 0};

        if (side->fd >= 0)
                setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}
