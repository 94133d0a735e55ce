/* Sends messages to the relay; see control.h. */
#include "control.h"
#include "config.h"
#include "sys.h"
#include "tapline_names.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

static void set_timeout(int fd, int option, int ms)
{
        struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};

        sys6(SYS_setsockopt, fd, SOL_SOCKET, option, SYS_LONG(&tv), sizeof tv, 0);
}

/* The listener must be this user's or root's: the default path may lie in a shared directory. */
static bool listener_is_trusted(int fd)
{
        struct ucred who;
        socklen_t len = sizeof who;

        if (sys6(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, SYS_LONG(&who), SYS_LONG(&len), 0) <
            0)
                return false;
        return who.uid == 0 || who.uid == (uid_t)sys(SYS_geteuid, 0, 0, 0);
}

/* A program that has closed its standard descriptors may use them all the same, from another
 * thread: what it writes is not for us. */
static long above_standard(long fd)
{
        long higher;

        if (fd < 0 || fd > STDERR_FILENO)
                return fd;
        higher = sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        control_close((int)fd);
        return higher;
}

static int make_socket(int flags)
{
        if (!config.reachable)
                return -ENOTCONN;
        return (int)above_standard(
                sys(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
}

static int connect_to(int fd, const struct sockaddr_un *address)
{
        long result = sys(SYS_connect, fd, address, sizeof *address);

        return result < 0 ? (int)result : listener_is_trusted(fd) ? 0 : -EPERM;
}

/* Returns fd, or result, which is -errno, and fd is closed. */
static int connected(int fd, int result)
{
        if (result == 0)
                return fd;
        control_close(fd);
        return result;
}

int control_open(void)
{
        int fd = make_socket(0);

        if (fd < 0)
                return fd;
        set_timeout(fd, SO_SNDTIMEO, CONTROL_STALL_MS); /* bounds connect() too, unix(7) */
        return connected(fd, connect_to(fd, &config.relay));
}

/* Where HELLO is heard. Nobody waits there, so nobody has to be kept from waiting. */
static int open_hello(void)
{
        static const char end[] = TAPLINE_HELLO_END;
        struct sockaddr_un address = config.relay;
        size_t len = strlen(address.sun_path);
        int fd;

        if (len + sizeof end > sizeof address.sun_path)
                return -ENAMETOOLONG;
        memcpy(address.sun_path + len, end, sizeof end);
        fd = make_socket(SOCK_NONBLOCK);
        return fd < 0 ? fd : connected(fd, connect_to(fd, &address));
}

void control_close(int fd)
{
        sys(SYS_close, fd, 0, 0);
}

static _Atomic uint32_t sent; /* messages */

/* Complete, even if no relay is there to get it: the fallback needs time and thread too. */
static void fill_head(struct wire_head *head, enum wire_type type, size_t len)
{
        struct timespec now;

        /* By the vDSO it would take a page fault or two in a program that never asked for the time.
         */
        sys(SYS_clock_gettime, CLOCK_REALTIME, &now, 0);
        head->magic = WIRE_MAGIC;
        head->version = WIRE_VERSION;
        head->type = (uint8_t)type;
        head->len = (uint32_t)len;
        head->tid = (int32_t)sys(SYS_gettid, 0, 0, 0);
        head->seq = atomic_fetch_add_explicit(&sent, 1, memory_order_relaxed);
        head->time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int send_parts(int fd, struct iovec *parts, size_t count)
{
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        long result;

        do
                result = sys(SYS_sendmsg, fd, &message, MSG_NOSIGNAL);
        while (result == -EINTR);
        return result < 0 ? (int)result : 0;
}

int control_send(int fd, enum wire_type type, struct wire_head *head, size_t len)
{
        struct iovec part = {.iov_base = head, .iov_len = len};

        fill_head(head, type, len);
        return send_parts(fd, &part, 1);
}

int control_verdict(int fd, struct wire_verdict *verdict, int timeout_ms)
{
        long n;

        set_timeout(fd, SO_RCVTIMEO, timeout_ms);
        n = sys6(SYS_recvfrom, fd, SYS_LONG(verdict), sizeof *verdict, 0, 0, 0);
        if (n < 0)
                return (int)n;
        if (n == 0)
                return -EPIPE;
        if (n != (long)sizeof *verdict || verdict->head.magic != WIRE_MAGIC ||
            verdict->head.version != WIRE_VERSION || verdict->head.type != WIRE_VERDICT)
                return -EPROTO;
        if (verdict->port != 0)
                atomic_store_explicit(&config_relay_port, verdict->port, memory_order_relaxed);
        if (verdict->hold_port != 0)
                atomic_store_explicit(&config_hold_port, verdict->hold_port, memory_order_relaxed);
        return 0;
}

static _Atomic int64_t stalled_until_ms, absent_until_ms;

int64_t control_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_ahead(_Atomic int64_t *ms)
{
        int64_t until = atomic_load_explicit(ms, memory_order_relaxed);

        return until != 0 && control_now_ms() < until;
}

void control_stalled(void)
{
        atomic_store_explicit(&stalled_until_ms, control_now_ms() + CONTROL_AGAIN_MS,
                              memory_order_relaxed);
}

bool control_is_stalled(void)
{
        return is_ahead(&stalled_until_ms);
}

void control_note_absent(int error)
{
        if (error == -ENOENT || error == -ECONNREFUSED)
                atomic_store_explicit(&absent_until_ms, control_now_ms() + CONTROL_ABSENT_MS,
                                      memory_order_relaxed);
}

bool control_is_absent(void)
{
        return is_ahead(&absent_until_ms);
}

void control_complete(enum wire_type type, struct iovec *parts, size_t count)
{
        size_t len = 0;

        for (size_t i = 0; i < count; i++)
                len += parts[i].iov_len;
        fill_head(parts[0].iov_base, type, len);
}

int control_report_parts(enum wire_type type, struct iovec *parts, size_t count)
{
        int fd, result;

        control_complete(type, parts, count);
        fd = type == WIRE_HELLO ? open_hello() : -ENOENT;
        if (fd < 0)
                fd = control_open();
        if (fd < 0)
                return fd;
        result = send_parts(fd, parts, count);
        control_close(fd);
        return result;
}

int control_report2(enum wire_type type, struct wire_head *head, size_t len, const void *more,
                    size_t more_len)
{
        struct iovec parts[2] = {{.iov_base = head, .iov_len = len},
                                 {.iov_base = (void *)more, .iov_len = more_len}};

        return control_report_parts(type, parts, more_len != 0 ? 2 : 1);
}

int control_report(enum wire_type type, struct wire_head *head, size_t len)
{
        return control_report2(type, head, len, NULL, 0);
}
