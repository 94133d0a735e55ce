/* Takes a connect() to the relay; see redirect.h and docs/connect.md.
 *
 * A non-blocking descriptor must not look connected before the upstream is, so it is connected to a
 * port of the relay's that answers no SYN: to the kernel and to the program it is connecting, with
 * all that follows from that (not writable, EALREADY, EAGAIN, ENOTCONN, its own SYN timeout). Once
 * the upstream is there, the relay connects from that port to the descriptor's, which both sides
 * see as a simultaneous open (RFC 9293 section 3.5), or starts to and resets it, which the program
 * sees as a refusal. */
#include "redirect.h"
#include "config.h"
#include "control.h"
#include "passed.h"
#include "real.h"
#include "socket.h"
#include "sys.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>

static int fail(int error)
{
        errno = error;
        return -1;
}

static uint32_t dial_flags(const struct plan *plan)
{
        return (plan->waits ? 0 : WIRE_DIAL_NONBLOCK) | (plan->by_v6 ? WIRE_DIAL_V6 : 0);
}

/* SO_BINDTODEVICE: the relay is reached over lo only, and sock_diag(7) does not find the descriptor
 * by its address alone even if lo is the device. */
static bool is_bound_to_device(int fd)
{
        char name[IFNAMSIZ] = "";
        socklen_t len = sizeof name;

        return sys6(SYS_getsockopt, fd, SOL_SOCKET, SO_BINDTODEVICE, SYS_LONG(name), SYS_LONG(&len),
                    0) == 0 &&
               name[0] != '\0';
}

/* Combinations of families that the kernel refuses are left to it. */
static bool families_fit(int fd, const struct sockaddr *to, struct plan *plan)
{
        bool is_bound = !socket_is_any(&plan->local);

        if (to->sa_family != plan->family)
                return false;
        if (plan->family == AF_INET)
                return true;
        plan->by_v6 = (is_bound && plan->local.family == AF_INET6) ||
                      socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1;
        if (plan->to.family == AF_INET)
                return !plan->by_v6;
        return !is_bound || plan->local.family == AF_INET6;
}

enum redirect redirect_plan(int fd, const struct sockaddr *to, socklen_t len, struct plan *plan)
{
        long flags;

        if (!config.ready || to == NULL || !socket_to_wire(to, len, &plan->to) ||
            plan->to.port == 0 || (socket_is_loopback(&plan->to) && !config.redirect_loopback))
                return PASS;
        plan->family = socket_tcp_family(fd);
        if (plan->family == AF_UNSPEC || !socket_is_fresh(fd))
                return PASS;
        plan->by_v6 = false;
        socket_local(fd, &plan->local);
        flags = sys(SYS_fcntl, fd, F_GETFL, 0);
        if (flags < 0 || !families_fit(fd, to, plan))
                return PASS;
        plan->nonblock = (flags & O_NONBLOCK) != 0;
        plan->waits = !plan->nonblock;
        if (is_bound_to_device(fd)) {
                passed_report(&plan->to, WIRE_PASSED_DEVICE, dial_flags(plan));
                return PASS;
        }
        plan->cookie = socket_cookie(fd);
        return REDIRECT;
}

/* connect(2) to one of the relay's ports. Returns 0 or -errno. */
static int connect_loopback(int fd, const struct plan *plan, unsigned short port)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (plan->family == AF_INET)
                return (int)sys(SYS_connect, fd, &v4, sizeof v4);
        if (plan->by_v6) {
                v6.sin6_addr.s6_addr[15] = 1; /* ::1 */
        } else {
                v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
                memcpy(v6.sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
        }
        return (int)sys(SYS_connect, fd, &v6, sizeof v6);
}

/* The same without waiting, for a descriptor that blocks: its flags are the program's, and shared
 * with other processes, so the shortest time limit there is must do (one tick of the kernel's
 * clock). */
static int connect_loopback_briefly(int fd, const struct plan *plan, unsigned short port)
{
        struct timeval own = {0, 0}, brief = {0, 1};
        socklen_t len = sizeof own;
        int result;

        if (plan->nonblock)
                return connect_loopback(fd, plan, port);
        sys6(SYS_getsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, SYS_LONG(&own), SYS_LONG(&len), 0);
        sys6(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, SYS_LONG(&brief), sizeof brief, 0);
        result = connect_loopback(fd, plan, port);
        sys6(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, SYS_LONG(&own), sizeof own, 0);
        return result;
}

/* A relay that has gone meanwhile needs no answer: the kernel will tell the program of it. */
static void tell_joined(int fd, int control, const struct plan *plan, bool held)
{
        struct wire_join message = {.cookie = plan->cookie, .held = held};

        if (socket_local(fd, &message.local))
                control_send(control, WIRE_JOIN, &message.head, sizeof message);
}

static bool is_under_way(int result)
{
        return result == 0 || result == -EINPROGRESS || result == -EINTR;
}

/* The upstream is there: connect to the relay for good. Returns 0 or -errno. */
static int join(int fd, int control, const struct plan *plan, const struct wire_verdict *verdict)
{
        int result = connect_loopback(fd, plan, verdict->port);

        if (is_under_way(result))
                tell_joined(fd, control, plan, false);
        return result;
}

/* The upstream is not there yet and the program does not wait: leave the descriptor connecting.
 * Returns -EINPROGRESS, or -errno when it cannot be. */
static int join_later(int fd, int control, const struct plan *plan,
                      const struct wire_verdict *verdict)
{
        bool held = verdict->hold_port != 0;
        int result = connect_loopback_briefly(fd, plan, held ? verdict->hold_port : verdict->port);

        if (!is_under_way(result))
                return result;
        tell_joined(fd, control, plan, held);
        return -EINPROGRESS;
}

/* Wait for the relay's decision as connect(2) waits: a signal handler without SA_RESTART ends the
 * wait with EINTR, SO_SNDTIMEO with EINPROGRESS, and in both cases connecting goes on. */
static int wait_and_join(int fd, int control, const struct plan *plan, struct wire_verdict *verdict)
{
        struct timeval limit = {0, 0};
        socklen_t len = sizeof limit;
        int result = 0, later;

        if (verdict->state == WIRE_STATE_PENDING)
                sys6(SYS_getsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, SYS_LONG(&limit), SYS_LONG(&len),
                     0);
        while (result == 0 && verdict->state == WIRE_STATE_PENDING)
                result = control_verdict(control, verdict,
                                         (int)(limit.tv_sec * 1000 + (limit.tv_usec + 999) / 1000));
        if (result == -EINTR || result == -EAGAIN) {
                later = join_later(fd, control, plan, verdict);
                return later == -EINPROGRESS && result == -EINTR ? -EINTR : later;
        }
        if (result < 0)
                return result;
        return verdict->state == WIRE_STATE_OPEN ? join(fd, control, plan, verdict)
                                                 : -verdict->error;
}

static void fill_dial(struct wire_dial *dial, int fd, const struct plan *plan)
{
        int syn_count = socket_option(fd, IPPROTO_TCP, TCP_SYNCNT);
        int user_timeout_ms = socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT);

        *dial = (struct wire_dial){.to = plan->to, .local = plan->local, .cookie = plan->cookie};
        dial->flags = dial_flags(plan);
        dial->syn_count = syn_count > 0 ? syn_count : 0;
        dial->user_timeout_ms = user_timeout_ms > 0 ? (uint32_t)user_timeout_ms : 0;
}

/* First answer of the relay: bounded, since a stalled relay must not hang the program. A signal
 * that comes this early might as well have come before connect(). */
static int ask(int fd, int control, const struct plan *plan, struct wire_verdict *verdict)
{
        struct wire_dial dial;
        int result;

        fill_dial(&dial, fd, plan);
        result = control_send(control, WIRE_DIAL, &dial.head, sizeof dial);
        while (result == 0) {
                result = control_verdict(control, verdict,
                                         plan->waits ? CONTROL_STALL_MS : CONTROL_EVENT_MS);
                if (result != -EINTR)
                        break;
                result = 0;
        }
        if (result == -EAGAIN)
                control_stalled();
        return result;
}

/* Returns true if the relay has dealt with it; *result is then 0 or -errno. */
static bool by_relay(int fd, int control, const struct plan *plan, int *result)
{
        struct wire_verdict verdict;

        if (ask(fd, control, plan, &verdict) < 0) {
                passed_tell(control, &plan->to, WIRE_PASSED_STALLED, dial_flags(plan));
                return false;
        }
        switch ((enum wire_verdict_state)verdict.state) {
        case WIRE_STATE_UNKNOWN:
        case WIRE_STATE_DIRECT:
                return false;
        case WIRE_STATE_FAILED:
                *result = -verdict.error;
                return true;
        case WIRE_STATE_PENDING:
        case WIRE_STATE_OPEN:
                break;
        }
        *result = plan->waits ? wait_and_join(fd, control, plan, &verdict)
                              : join_later(fd, control, plan, &verdict);
        return *result != -EPIPE; /* the relay has ended, and the descriptor is as it was */
}

int redirect_connect(int fd, const struct plan *plan, const struct sockaddr *to, socklen_t len)
{
        int saved = errno, result = 0, control;
        bool done;

        if (control_is_stalled()) {
                passed_report(&plan->to, WIRE_PASSED_STALLED, dial_flags(plan));
                return REAL(connect)(fd, to, len);
        }
        control = control_open();
        done = control >= 0 && by_relay(fd, control, plan, &result);
        if (control >= 0)
                control_close(control);
        errno = saved;
        if (!done)
                return REAL(connect)(fd, to, len);
        return result < 0 ? fail(-result) : 0;
}

static bool ask_about(int fd, struct wire_verdict *verdict)
{
        struct wire_join question = {.cookie = socket_cookie(fd)};
        int control, result;

        if (control_is_stalled() || !socket_local(fd, &question.local))
                return false;
        control = control_open();
        if (control < 0)
                return false;
        result = control_send(control, WIRE_PEER, &question.head, sizeof question);
        if (result == 0)
                result = control_verdict(control, verdict, CONTROL_EVENT_MS);
        control_close(control);
        if (result == -EAGAIN)
                control_stalled();
        return result == 0 && verdict->state != WIRE_STATE_UNKNOWN;
}

int redirect_true_error(int fd, int error)
{
        struct wire_verdict verdict;

        if (error != ECONNRESET || !config.reachable || !socket_is_tcp(fd) ||
            !ask_about(fd, &verdict) || verdict.state != WIRE_STATE_FAILED)
                return error;
        return verdict.error;
}

void redirect_failed(int fd)
{
        errno = redirect_true_error(fd, errno);
}

static bool leads_to_relay(const struct wire_addr *peer)
{
        unsigned short port = atomic_load_explicit(&config_relay_port, memory_order_relaxed);
        unsigned short hold = atomic_load_explicit(&config_hold_port, memory_order_relaxed);

        return socket_is_loopback(peer) && (port == 0 || port == peer->port || hold == peer->port);
}

bool redirect_peer(int fd, const struct sockaddr *peer, socklen_t len, struct wire_addr *out)
{
        struct wire_verdict verdict;
        struct wire_addr address;

        if (!config.reachable || !socket_to_wire(peer, len, &address) ||
            !leads_to_relay(&address) || !socket_is_tcp(fd) || !ask_about(fd, &verdict))
                return false;
        *out = verdict.peer;
        return true;
}

/* Connected to the relay, or begun to: the kernel does not tell the peer of one that still waits
 * for it or that it has refused. */
static bool may_be_redirected(int fd)
{
        struct wire_addr peer;

        if (!socket_is_tcp(fd))
                return false;
        if (socket_peer(fd, &peer))
                return leads_to_relay(&peer);
        return !socket_is_fresh(fd) && socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0;
}

bool redirect_own(int fd, const struct sockaddr *local, socklen_t len, struct wire_addr *out)
{
        struct wire_verdict verdict;
        struct wire_addr address;

        if (!config.reachable || !socket_to_wire(local, len, &address) || address.port == 0 ||
            socket_is_any(&address) || !socket_is_loopback(&address) || !may_be_redirected(fd) ||
            !ask_about(fd, &verdict) || verdict.local.family == AF_UNSPEC ||
            (local->sa_family == AF_INET && verdict.local.family != AF_INET))
                return false;
        *out = verdict.local;
        out->port = address.port;
        return true;
}
