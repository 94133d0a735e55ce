/* One side of a flow: what is waiting to be written to it, and its end by reset; see flow.h. */
#include "net/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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
