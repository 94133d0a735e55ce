/* Moves the bytes of one direction; see move.h. */
#include "net/move.h"
#include "net/pipe.h"
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CHUNK = 65536,     /* copied at a time */
        REST_SMALL = 4096, /* so much of it may wait in memory of our own */
};

void move_drop_pipe(struct side *side)
{
        struct pipe_pair *p = side->pipe;

        side->pipe = NULL;
        if (p != NULL)
                pipe_give(worker_pipes(side->flow), p, side->piped == 0 && !side->unwanted);
}

bool side_is_client(const struct side *side)
{
        return side == &side->flow->client;
}

static enum moved spliced_out(struct side *from, struct side *to)
{
        while (from->piped > 0) {
                ssize_t n = splice(from->pipe->read_end, NULL, to->fd, NULL, from->piped,
                                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

                if (n < 0 && errno != EAGAIN)
                        return WRITE_FAILED;
                if (n < 0) {
                        side_blocked(to);
                        return BLOCKED;
                }
                from->piped -= (size_t)n;
        }
        return MOVED;
}

/* Nothing more to see (not HTTP/1, upgraded, or a tunnel): the rest need not be copied. */
static void stop_observing(struct flow *flow)
{
        if (recorder_is_active(flow->recorder))
                return;
        recorder_free(flow->recorder);
        flow->recorder = NULL;
}

static void skip(struct side *from, size_t n)
{
        if (from->flow->recorder == NULL)
                return;
        recorder_server_skip(from->flow->recorder, n);
        stop_observing(from->flow);
}

static void observe(struct side *from, const char *data, size_t len)
{
        if (from->flow->recorder == NULL)
                return;
        if (side_is_client(from))
                recorder_client(from->flow->recorder, data, len);
        else
                recorder_server(from->flow->recorder, data, len);
        stop_observing(from->flow);
}

/* What a receiver does not take waits in the pipe, as what is spliced does: the kernel bounds what
 * a user has there, and a receiver that never reads costs no memory of our own. Returns false if
 * the pipe cannot hold all of it. */
static bool rest_piped(struct side *from, const char *rest, size_t len)
{
        if (len <= REST_SMALL || from->piped > 0)
                return false;
        if (from->pipe == NULL && (from->pipe = pipe_take(worker_pipes(from->flow))) == NULL)
                return false;
        from->piped = len;
        if (write(from->pipe->write_end, rest, len) == (ssize_t)len)
                return true;
        move_drop_pipe(from);
        from->piped = 0;
        return false;
}

/* At most limit bytes are read, and shown to the observer or passed by it. A tunnel's last ones
 * travel with the FIN that pump() then sends: MSG_MORE of send(2). */
static enum moved move_copied(struct side *from, struct side *to, size_t limit, bool show,
                              size_t *moved)
{
        static _Thread_local char chunk[CHUNK]; /* empty again before the next flow's turn */
        size_t asked = limit < sizeof chunk ? limit : sizeof chunk;
        ssize_t n, sent;
        bool last;

        if (from->eof)
                return ENDED;
        n = recv(from->fd, chunk, asked, 0);
        if (n < 0 && errno == EAGAIN)
                from->readable = false;
        if (n < 0)
                return errno == EAGAIN ? IDLE : READ_FAILED;
        if (n == 0)
                return ENDED;
        side_was_read(from, n, asked);
        from->bulk = (size_t)n == sizeof chunk;
        side_count(from, (size_t)n);
        *moved += (size_t)n;
        if (show)
                observe(from, chunk, (size_t)n);
        else
                skip(from, (size_t)n);
        last = from->fin_next && (size_t)n < asked && from->flow->state == FLOW_TUNNEL;
        sent = send(to->fd, chunk, (size_t)n, MSG_NOSIGNAL | (last ? MSG_MORE : 0));
        if (sent < 0 && errno != EAGAIN)
                return WRITE_FAILED;
        sent = sent < 0 ? 0 : sent;
        if (sent == n)
                return last ? ENDED : MOVED;
        side_blocked(to);
        if (rest_piped(from, chunk + sent, (size_t)(n - sent)))
                return BLOCKED;
        return side_queue(to, chunk + sent, (size_t)(n - sent)) < 0 ? READ_FAILED : BLOCKED;
}

enum moved move_unread(struct side *from, struct side *to, size_t limit, size_t *moved)
{
        enum moved result;
        ssize_t n;

        if (from->piped > 0 && (result = spliced_out(from, to)) != MOVED)
                return result;
        if (from->eof)
                return ENDED;
        if (limit == 0)
                return MOVED;
        if (from->pipe == NULL && (from->pipe = pipe_take(worker_pipes(from->flow))) == NULL)
                return move_copied(from, to, limit, false, moved); /* descriptors are scarce */
        limit = limit < from->pipe->cap ? limit : from->pipe->cap;
        n = splice(from->fd, NULL, from->pipe->write_end, NULL, limit,
                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno == EAGAIN) {
                from->readable = false;
                from->bulk = *moved > CHUNK;
        }
        if (n < 0)
                return errno == EAGAIN ? IDLE : READ_FAILED;
        if (n == 0)
                return ENDED;
        side_count(from, (size_t)n);
        skip(from, (size_t)n);
        from->piped = (size_t)n;
        *moved += (size_t)n;
        return spliced_out(from, to);
}

/* A little at a time is copied: that takes two system calls, and no pipe. Much is spliced.
 *
 * Only heads have to be seen: the long body of an observed answer goes the way of what nobody looks
 * at. What is in the pipe goes first. */
enum moved move_some(struct side *from, struct side *to, size_t *moved)
{
        struct recorder *recorder = from->flow->recorder;
        uint64_t left;

        if (recorder == NULL && !from->bulk && from->piped == 0)
                return move_copied(from, to, SIZE_MAX, false, moved);
        if (recorder == NULL)
                return move_unread(from, to, SIZE_MAX, moved);
        left = side_is_client(from) ? 0 : recorder_server_left(recorder);
        if (from->piped == 0 && left < MOVE_UNREAD)
                return move_copied(from, to, SIZE_MAX, true, moved);
        return move_unread(from, to, left < SIZE_MAX ? (size_t)left : SIZE_MAX, moved);
}
