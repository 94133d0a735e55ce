/* Takes a connect() to the relay; see redirect.h and docs/architecture.md.
 *
 * A non-blocking descriptor must not look connected before the upstream is. Joined to the relay it
 * would turn writable at once, so TCP_NOTSENT_LOWAT is set to 1 and padding is sent until the
 * kernel refuses more: poll, select and epoll then say "not writable" until the relay, with the
 * upstream connected, has read exactly that padding away. */
#include "redirect.h"
#include "config.h"
#include "control.h"
#include "real.h"
#include "sys.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

enum {
        PADDING_CHUNK = 16384,
        PADDING_MAX = 8 << 20, /* far above any default send buffer: a bound, not a target */
        JOIN_WAIT_MS = 100,    /* loopback handshakes end within connect(); this is for a busy machine */
};

static bool is_loopback(const struct wire_addr *a)
{
        static const unsigned char one[16] = {[15] = 1}, none[16];

        if (a->family == AF_INET)
                return a->bytes[0] == 127 || memcmp(a->bytes, none, 4) == 0;
        return memcmp(a->bytes, one, 16) == 0 || memcmp(a->bytes, none, 16) == 0;
}

/* Copy a socket address to the wire form; v4-mapped becomes IPv4. Returns false for other families. */
static bool to_wire(const struct sockaddr *from, socklen_t len, struct wire_addr *out)
{
        const struct sockaddr_in *v4 = (const void *)from;
        const struct sockaddr_in6 *v6 = (const void *)from;

        memset(out, 0, sizeof *out);
        if (len >= sizeof *v4 && from->sa_family == AF_INET) {
                out->family = AF_INET;
                out->port = ntohs(v4->sin_port);
                memcpy(out->bytes, &v4->sin_addr, 4);
                return true;
        }
        if (len < 24 || from->sa_family != AF_INET6) /* SIN6_LEN_RFC2133, as the kernel has it */
                return false;
        out->port = ntohs(v6->sin6_port);
        out->family = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? AF_INET : AF_INET6;
        memcpy(out->bytes, v6->sin6_addr.s6_addr + (out->family == AF_INET ? 12 : 0),
               out->family == AF_INET ? 4 : 16);
        out->scope_id = len >= sizeof *v6 ? v6->sin6_scope_id : 0;
        return true;
}

static int option(int fd, int level, int name)
{
        int value = 0;
        socklen_t len = sizeof value;

        if (sys6(SYS_getsockopt, fd, level, name, SYS_LONG(&value), SYS_LONG(&len), 0) < 0)
                return -1;
        return value;
}

/* The descriptor's local or remote address by a raw call. Returns false if it has none. */
static bool address_of(int fd, long call, struct wire_addr *out)
{
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;

        return sys(call, fd, &ss, &len) == 0 && to_wire((struct sockaddr *)&ss, len, out);
}

static bool leads_to_relay(const struct wire_addr *peer)
{
        unsigned short port = atomic_load_explicit(&config_relay_port, memory_order_relaxed);

        return is_loopback(peer) && (port == 0 || port == peer->port);
}

enum redirect redirect_plan(int fd, const struct sockaddr *to, socklen_t len, struct plan *plan)
{
        struct wire_addr peer;
        long flags;

        if (!config.ready || to == NULL || !to_wire(to, len, &plan->to))
                return PASS;
        if (plan->to.port == 0 || (is_loopback(&plan->to) && !config.redirect_loopback))
                return PASS;
        plan->family = option(fd, SOL_SOCKET, SO_DOMAIN);
        if ((plan->family != AF_INET && plan->family != AF_INET6) || to->sa_family != plan->family ||
            option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP)
                return PASS;
        if (address_of(fd, SYS_getpeername, &peer))
                return leads_to_relay(&peer) ? JOINED : PASS;
        flags = sys(SYS_fcntl, fd, F_GETFL, 0);
        if (flags < 0 || option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0)
                return PASS;
        plan->nonblock = (flags & O_NONBLOCK) != 0;
        plan->v6only = plan->family == AF_INET6 && option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1;
        return REDIRECT;
}

static int fail(int error)
{
        errno = error;
        return -1;
}

/* Connect the descriptor to the relay's listener. Non-blocking ones are given a moment to get
 * there, so that padding can be sent. Returns 0 or -errno. */
static int join_relay(int fd, const struct plan *plan, unsigned short port)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        struct wire_addr peer;
        long result;

        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (plan->v6only) {
                v6.sin6_addr = in6addr_loopback;
        } else {
                v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
                memcpy(v6.sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
        }
        result = plan->family == AF_INET ? sys(SYS_connect, fd, &v4, sizeof v4)
                                         : sys(SYS_connect, fd, &v6, sizeof v6);
        if (result != -EINPROGRESS)
                return (int)result;
        if (address_of(fd, SYS_getpeername, &peer)) /* the usual case: established within the call */
                return 0;
        return sys(SYS_poll, &wait, 1, JOIN_WAIT_MS) >= 0 ? 0 : -ETIMEDOUT;
}

/* Hold writability down. Returns the number of padding bytes sent. */
static uint32_t pad(int fd)
{
        static const char zeros[PADDING_CHUNK];
        int lowat = REDIRECT_LOWAT, own = option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT);
        uint32_t sent = 0;

        if (own == 0 || own == -1) /* a program's own mark stays, and serves as well */
                sys6(SYS_setsockopt, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, SYS_LONG(&lowat), sizeof lowat, 0);
        while (sent < PADDING_MAX) {
                long n = sys6(SYS_sendto, fd, SYS_LONG(zeros), PADDING_CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);

                if (n <= 0)
                        break;
                sent += (uint32_t)n;
        }
        return sent;
}

/* Connect fd to the relay and tell it the source port. held: the upstream is not there yet.
 * Returns 0 or -errno. */
static int join(int fd, int control, const struct plan *plan, unsigned short port, bool held)
{
        struct wire_join message = {.padding_len = 0};
        struct wire_addr local;
        int result = join_relay(fd, plan, port);

        if (result < 0)
                return result;
        if (held)
                message.padding_len = pad(fd);
        if (!address_of(fd, SYS_getsockname, &local))
                return -ECONNRESET;
        message.family = local.family;
        message.port = local.port;
        return control_send(control, WIRE_JOIN, &message.head, sizeof message);
}

/* The relay has not decided yet and the program must not wait: join now, decide later. */
static int join_pending(int fd, int control, const struct plan *plan, unsigned short port, int error)
{
        int result = join(fd, control, plan, port, true);

        return fail(result < 0 ? -result : error);
}

/* Wait for the relay's decision as connect(2) waits: a signal handler without SA_RESTART ends the
 * wait with EINTR, SO_SNDTIMEO with EINPROGRESS, and in both cases connecting goes on. */
static int connect_blocking(int fd, int control, const struct plan *plan, struct wire_verdict *verdict)
{
        struct timeval limit = {0, 0};
        socklen_t len = sizeof limit;
        int result = 0, ms;

        sys6(SYS_getsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, SYS_LONG(&limit), SYS_LONG(&len), 0);
        ms = (int)(limit.tv_sec * 1000 + limit.tv_usec / 1000);
        while (result == 0 && verdict->state == WIRE_STATE_PENDING)
                result = control_verdict(control, verdict, ms);
        if (result == -EINTR || result == -EAGAIN)
                return join_pending(fd, control, plan, verdict->port,
                                    result == -EINTR ? EINTR : EINPROGRESS);
        if (result == 0 && verdict->state == WIRE_STATE_OPEN)
                result = join(fd, control, plan, verdict->port, false);
        else if (result == 0)
                return fail(verdict->error);
        return result == 0 ? 0 : fail(ECONNREFUSED);
}

/* First answer of the relay: bounded, since a stalled relay must not hang the program. */
static int ask(int control, const struct plan *plan, struct wire_verdict *verdict)
{
        struct wire_dial dial = {.to = plan->to};
        int result;

        dial.flags = (plan->nonblock ? WIRE_DIAL_NONBLOCK : 0) | (plan->v6only ? WIRE_DIAL_V6 : 0);
        result = control_send(control, WIRE_DIAL, &dial.head, sizeof dial);
        while (result == 0) {
                result = control_verdict(control, verdict, CONTROL_STALL_MS);
                if (result != -EINTR)
                        return result;
                result = 0;
        }
        return result;
}

int redirect_connect(int fd, const struct plan *plan, const struct sockaddr *to, socklen_t len)
{
        struct wire_verdict verdict;
        int control = control_open(), result;

        if (control < 0)
                return REAL(connect)(fd, to, len);
        if (ask(control, plan, &verdict) < 0 || verdict.state == WIRE_STATE_DIRECT ||
            verdict.state == WIRE_STATE_UNKNOWN) {
                control_close(control);
                return REAL(connect)(fd, to, len);
        }
        if (verdict.state == WIRE_STATE_FAILED)
                result = fail(verdict.error);
        else if (plan->nonblock)
                result = join_pending(fd, control, plan, verdict.port, EINPROGRESS);
        else
                result = connect_blocking(fd, control, plan, &verdict);
        control_close(control);
        return result;
}

bool redirect_query(int fd, const struct sockaddr *peer, struct wire_verdict *verdict)
{
        struct wire_join question = {.padding_len = 0};
        struct wire_addr address;
        int control, result;

        if (!config.ready || (peer != NULL && (!to_wire(peer, sizeof(struct sockaddr_in6), &address) ||
                                               !leads_to_relay(&address))))
                return false;
        if (!address_of(fd, SYS_getsockname, &address) || !is_loopback(&address))
                return false;
        control = control_open();
        if (control < 0)
                return false;
        question.family = address.family;
        question.port = address.port;
        result = control_send(control, WIRE_PEER, &question.head, sizeof question);
        if (result == 0)
                result = control_verdict(control, verdict, CONTROL_STALL_MS);
        control_close(control);
        return result == 0 && verdict->state != WIRE_STATE_UNKNOWN;
}

int redirect_again(int fd, const struct sockaddr *to, socklen_t len)
{
        struct wire_verdict verdict;

        if (!redirect_query(fd, NULL, &verdict) || verdict.state == WIRE_STATE_OPEN)
                return REAL(connect)(fd, to, len);
        return fail(verdict.state == WIRE_STATE_PENDING ? EALREADY : verdict.error);
}

void redirect_settled(int fd)
{
        int none = 0, unsent = 0;

        if (option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT) != REDIRECT_LOWAT)
                return;
        if (sys(SYS_ioctl, fd, SIOCOUTQNSD, &unsent) == 0 && unsent == 0)
                sys6(SYS_setsockopt, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, SYS_LONG(&none), sizeof none, 0);
}
