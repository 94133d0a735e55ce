/* The port that answers no SYN; see hold.h. */
#include "net/hold.h"
#include "net/diag.h"
#include "net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
        TTL_NEEDED = 255, /* a SYN with less is dropped, and 64 is what it has */
        TRIAL_MS = 200,   /* loopback answers at once; this is for a busy machine */
        TRIALS = 5,       /* who is not run for 40 ms sees what the kernel has done meanwhile */
        RETRIES = 16,     /* to find a port that is free on both loopback addresses */
};

/* One address of the hold. */
struct door {
        int listener, filler; /* owned */
};

struct hold {
        struct door v4, v6;
        uint16_t port;
        int diag; /* owned: diag_open */
};

static void loopback(int family, uint16_t port, struct wire_addr *out)
{
        memset(out, 0, sizeof *out);
        out->family = (uint16_t)family;
        out->port = port;
        if (family == AF_INET) {
                out->bytes[0] = 127;
                out->bytes[3] = 1;
        } else {
                out->bytes[15] = 1;
        }
}

static void set_int(int fd, int level, int name, int value)
{
        setsockopt(fd, level, name, &value, sizeof value);
}

/* A socket on the hold's port; the listener and those that answer share it. */
static int bind_to(int family, uint16_t port)
{
        struct wire_addr address;
        struct sockaddr_storage ss;
        socklen_t len;
        int error, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        loopback(family, port, &address);
        len = address_to_socket(&address, &ss);
        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (family == AF_INET6)
                set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (bind(fd, (struct sockaddr *)&ss, len) == 0)
                return fd;
        error = errno;
        close(fd);
        return -error;
}

static uint16_t port_of(int fd)
{
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        struct wire_addr address = {.port = 0};

        if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
                address_from_socket((struct sockaddr *)&ss, &address);
        return address.port;
}

static int connect_to(int fd, const struct wire_addr *to)
{
        struct sockaddr_storage ss;
        socklen_t len = address_to_socket(to, &ss);

        return connect(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* Two locks, since either has a key: a queue that is full (one connection of our own is in it, and
 * accepted never), and a hop limit that only a program which sets IP_TTL has. */
static int door_open(struct door *door, int family, uint16_t port)
{
        struct wire_addr address;
        int result;

        door->filler = -1;
        door->listener = bind_to(family, port);
        if (door->listener < 0)
                return door->listener;
        if (listen(door->listener, 0) < 0 ||
            (door->filler = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
                return -errno;
        loopback(family, port_of(door->listener), &address);
        result = connect_to(door->filler, &address);
        if (family == AF_INET)
                set_int(door->listener, IPPROTO_IP, IP_MINTTL, TTL_NEEDED);
        else
                set_int(door->listener, IPPROTO_IPV6, IPV6_MINHOPCOUNT, TTL_NEEDED);
        return result;
}

static void door_close(struct door *door)
{
        if (door->filler >= 0)
                close(door->filler);
        if (door->listener >= 0)
                close(door->listener);
        door->filler = door->listener = -1;
}

uint16_t hold_port(const struct hold *hold, bool by_v6)
{
        if (hold == NULL || (by_v6 && hold->v6.listener < 0))
                return 0;
        return hold->port;
}

int hold_answer(struct hold *hold, const struct wire_addr *client, bool refuse)
{
        int fd = bind_to(client->family, hold->port), result;

        if (fd < 0)
                return fd;
        /* Not to be acknowledged at once: the program's end must not get beyond SYN_RECV before it
         * is reset, or it would look connected for a moment (TCP_QUICKACK in tcp(7); the kernel
         * waits 200 ms). */
        if (refuse)
                set_int(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
        result = connect_to(fd, client);
        if (result == 0 || result == -EINPROGRESS)
                return fd;
        close(fd);
        return result;
}

int hold_is_answered(int fd)
{
        struct tcp_info info;
        socklen_t len = sizeof info.tcpi_state;
        int error = 0;
        socklen_t error_len = sizeof error;

        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0 || error != 0)
                return -(error != 0 ? error : errno);
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
                return -errno;
        return info.tcpi_state != TCP_SYN_SENT;
}

int hold_is_waiting(struct hold *hold, const struct wire_addr *client, uint64_t cookie)
{
        struct diag_socket found;
        struct wire_addr door;
        int result;

        loopback(client->family, hold->port, &door);
        result = diag_ask(hold->diag, client, &door, cookie, &found);
        if (result == -ENOENT || result == -ESTALE)
                return 0;
        return result < 0 ? result : found.state == TCP_SYN_SENT;
}

static short events_of(int fd, int wait_ms)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        return poll(&p, 1, wait_ms) >= 0 ? p.revents : POLLNVAL;
}

/* Does a descriptor wait here, and does it end as it should when it is answered? */
static bool try_answer(struct hold *hold, int family, bool refuse)
{
        int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), back = -1;
        struct wire_addr door, client;
        struct sockaddr_storage ss;
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        socklen_t len = sizeof ss;
        bool works = false;

        loopback(family, hold->port, &door);
        if (fd < 0 || connect_to(fd, &door) != -EINPROGRESS || events_of(fd, 0) != 0 ||
            getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
                goto out;
        address_from_socket((struct sockaddr *)&ss, &client);
        if (hold_is_waiting(hold, &client, 0) != 1 ||
            (back = hold_answer(hold, &client, refuse)) < 0 || events_of(back, TRIAL_MS) != POLLOUT)
                goto out;
        if (!refuse) {
                works = events_of(fd, TRIAL_MS) == POLLOUT;
                goto out;
        }
        works = events_of(fd, 0) == 0;
        setsockopt(back, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(back);
        back = -1;
        works = works && (events_of(fd, TRIAL_MS) & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP);
out:
        if (back >= 0)
                close(back);
        if (fd >= 0)
                close(fd);
        return works;
}

static bool works(struct hold *hold, int family)
{
        for (int i = 0; i < TRIALS; i++)
                if (try_answer(hold, family, false) && try_answer(hold, family, true))
                        return true;
        return false;
}

/* The same port on both addresses. Without IPv6 there are no descriptors that need ::1. */
static bool open_doors(struct hold *hold)
{
        for (int i = 0; i < RETRIES; i++) {
                int result = door_open(&hold->v4, AF_INET, 0);

                if (result < 0)
                        return false;
                hold->port = port_of(hold->v4.listener);
                result = door_open(&hold->v6, AF_INET6, hold->port);
                if (result == 0)
                        return true;
                door_close(&hold->v6);
                if (result != -EADDRINUSE)
                        return true;
                door_close(&hold->v4);
        }
        return false;
}

struct hold *hold_new(void)
{
        struct hold *hold = calloc(1, sizeof *hold);

        if (hold == NULL)
                return NULL;
        hold->v4 = hold->v6 = (struct door){-1, -1};
        hold->diag = diag_open();
        if (hold->diag < 0 || !open_doors(hold) || !works(hold, AF_INET)) {
                hold_free(hold);
                return NULL;
        }
        if (hold->v6.listener >= 0 && !works(hold, AF_INET6))
                door_close(&hold->v6);
        return hold;
}

void hold_free(struct hold *hold)
{
        if (hold == NULL)
                return;
        door_close(&hold->v4);
        door_close(&hold->v6);
        if (hold->diag >= 0)
                close(hold->diag);
        free(hold);
}
