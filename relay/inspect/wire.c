/* wire.c: an OpenSSL BIO over a socket that remembers and holds back; see wire.h for why. Used by
 * handshake.c and pump.c. Knows nothing of TLS. */
#include "inspect/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
        KEPT_CAP = 256 << 10, /* OpenSSL takes hellos of up to 128 KiB */
        HELD_CAP = 256 << 10,
        FILL_LEN = 4096,
};

_Static_assert((int)WIRE_CORK <= (int)HELD_CAP, "what is corked can be held");

void wire_init(struct wire *w, int fd, enum wire_mode mode)
{
        memset(w, 0, sizeof *w);
        w->fd = fd;
        w->mode = mode;
        w->may_read = w->may_end = true;
}

void wire_capture(struct wire *w, struct pcap_leg *leg)
{
        w->capture = leg;
}

static void drop_kept(struct wire *w)
{
        free(w->kept);
        w->kept = NULL;
        w->kept_len = w->kept_at = w->kept_cap = 0;
}

void wire_fini(struct wire *w)
{
        drop_kept(w);
        free(w->held);
        w->held = NULL;
        w->held_len = 0;
        pcap_leg_free(w->capture);
        w->capture = NULL;
        w->fd = -1;
}

static int keep(struct wire *w, const char *data, size_t len)
{
        if (len > KEPT_CAP - w->kept_len)
                return -ENOMEM;
        if (w->kept_len + len > w->kept_cap) {
                size_t cap = (w->kept_len + len) * 2;
                char *kept = realloc(w->kept, cap);
                if (!kept)
                        return -ENOMEM;
                w->kept = kept;
                w->kept_cap = cap;
        }
        memcpy(w->kept + w->kept_len, data, len);
        w->kept_len += len;
        return 0;
}

int wire_preload(struct wire *w, const char *data, size_t len)
{
        w->bytes += len;
        pcap_leg_bytes(w->capture, true, data, len);
        return len ? keep(w, data, len) : 0;
}

static bool is_ended(const struct wire *w)
{
        return w->eof || w->error;
}

void wire_ready(struct wire *w, uint32_t events)
{
        bool end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;

        w->may_read |= end || (events & EPOLLIN) != 0;
        w->may_end |= end;
}

bool wire_may_read(const struct wire *w)
{
        return w->kept_at < w->kept_len || (w->may_read && !is_ended(w));
}

/* Returns bytes read, or 0 with eof or error set where that is so. Fewer bytes than there is room
 * for were the last ones (epoll(7)), unless an end is behind them that epoll told together with
 * them. */
static size_t receive(struct wire *w, char *out, size_t cap)
{
        ssize_t n;

        if (is_ended(w) || !w->may_read)
                return 0;
        do
                n = recv(w->fd, out, cap, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n > 0) {
                w->bytes += (uint64_t)n;
                pcap_leg_bytes(w->capture, true, out, (size_t)n);
                w->may_read = (size_t)n == cap || w->may_end;
                return (size_t)n;
        }
        if (n == 0) {
                w->eof = true;
                pcap_leg_end(w->capture, true);
        } else if (errno != EAGAIN && errno != EWOULDBLOCK)
                w->error = errno;
        else
                w->may_read = w->may_end = false;
        return 0;
}

size_t wire_fill(struct wire *w)
{
        char data[FILL_LEN];
        size_t len = receive(w, data, sizeof data);

        if (len && keep(w, data, len) < 0)
                w->error = ENOMEM;
        return len;
}

static size_t take_kept(struct wire *w, char *out, size_t cap)
{
        size_t len = w->kept_len - w->kept_at;

        if (len > cap)
                len = cap;
        memcpy(out, w->kept + w->kept_at, len);
        w->kept_at += len;
        if (w->mode == WIRE_OPEN && w->kept_at == w->kept_len)
                drop_kept(w);
        return len;
}

static int on_read(BIO *bio, char *out, int cap)
{
        struct wire *w = BIO_get_data(bio);

        BIO_clear_retry_flags(bio);
        if (cap <= 0)
                return 0;
        if (w->kept_at < w->kept_len)
                return (int)take_kept(w, out, (size_t)cap);
        size_t len = receive(w, out, (size_t)cap);
        if (len && w->mode != WIRE_OPEN) {
                if (keep(w, out, len) == 0)
                        w->kept_at = w->kept_len;
                else
                        w->error = ENOMEM;
        }
        if (len)
                return (int)len;
        BIO_set_retry_read(bio);
        return -1;
}

/* Returns bytes written, 0 when it must wait or is broken. */
static size_t transmit(struct wire *w, const char *data, size_t len)
{
        ssize_t n;

        if (w->broken)
                return 0;
        do
                n = send(w->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n >= 0) {
                pcap_leg_bytes(w->capture, false, data, (size_t)n);
                return (size_t)n;
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK)
                w->broken = errno;
        return 0;
}

static int hold(struct wire *w, const char *data, size_t len)
{
        char *held = len <= HELD_CAP - w->held_len ? realloc(w->held, w->held_len + len) : NULL;

        if (!held)
                return -1;
        memcpy(held + w->held_len, data, len);
        w->held = held;
        w->held_len += len;
        return (int)len;
}

static bool flush_held(struct wire *w)
{
        size_t done = 0, n;

        while (done < w->held_len && (n = transmit(w, w->held + done, w->held_len - done)) > 0)
                done += n;
        w->held_len -= done;
        if (w->held_len) {
                memmove(w->held, w->held + done, w->held_len);
                return false;
        }
        free(w->held);
        w->held = NULL;
        return true;
}

static bool flush_cork(struct wire *w)
{
        size_t done = 0, n;

        while (done < w->cork_len && (n = transmit(w, w->cork + done, w->cork_len - done)) > 0)
                done += n;
        w->cork_len -= done;
        memmove(w->cork, w->cork + done, w->cork_len);
        return !w->cork_len;
}

bool wire_flush(struct wire *w)
{
        if (w->held_len && !flush_held(w))
                return false;
        return !w->cork_len || flush_cork(w);
}

void wire_cork(struct wire *w, char *scratch)
{
        w->cork = scratch;
        w->cork_len = 0;
}

void wire_uncork(struct wire *w)
{
        /* What the kernel does not take now is kept by the connection itself. */
        if (!wire_flush(w) && w->cork_len && hold(w, w->cork, w->cork_len) < 0)
                w->broken = w->broken ? w->broken : ENOMEM;
        w->cork = NULL;
        w->cork_len = 0;
}

/* Returns false when there is no room now. */
static bool collect(struct wire *w, const char *data, size_t len)
{
        if (w->held_len || len > WIRE_CORK - w->cork_len)
                if (!wire_flush(w) || len > WIRE_CORK)
                        return false;
        memcpy(w->cork + w->cork_len, data, len);
        w->cork_len += len;
        return true;
}

static int on_write(BIO *bio, const char *data, int len)
{
        struct wire *w = BIO_get_data(bio);

        BIO_clear_retry_flags(bio);
        if (len <= 0)
                return 0;
        switch (w->mode) {
        case WIRE_MUTE:
                return len;
        case WIRE_HOLD:
                return hold(w, data, (size_t)len);
        case WIRE_OPEN:
                break;
        }
        if (w->cork && collect(w, data, (size_t)len))
                return len;
        size_t n = wire_flush(w) ? transmit(w, data, (size_t)len) : 0;
        if (n)
                return (int)n;
        BIO_set_retry_write(bio);
        return -1;
}

static long on_ctrl(BIO *bio, int command, long number, void *pointer)
{
        (void)bio;
        (void)number;
        (void)pointer;
        return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static int on_create(BIO *bio)
{
        BIO_set_init(bio, 1);
        return 1;
}

BIO_METHOD *wire_method_new(void)
{
        BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");

        if (!method)
                return NULL;
        BIO_meth_set_read(method, on_read);
        BIO_meth_set_write(method, on_write);
        BIO_meth_set_ctrl(method, on_ctrl);
        BIO_meth_set_create(method, on_create);
        return method;
}

BIO *wire_bio(struct wire *w, BIO_METHOD *method)
{
        BIO *bio = BIO_new(method);

        if (bio)
                BIO_set_data(bio, w);
        return bio;
}

void wire_open(struct wire *w)
{
        w->mode = WIRE_OPEN;
        if (w->kept_at == w->kept_len)
                drop_kept(w);
        wire_flush(w);
}

bool wire_drain(struct wire *w)
{
        char data[FILL_LEN];

        while (receive(w, data, sizeof data))
                continue;
        return is_ended(w);
}
