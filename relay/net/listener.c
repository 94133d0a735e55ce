/* Listening sockets; see listener.h. */
#include "net/listener.h"
#include "net/bound.h"
#include "net/control.h"
#include "net/door.h"
#include "net/front.h"
#include "net/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

enum {
        ANNOUNCE_MS = 5000, /* an announcement that comes after its connection */
        ACCEPT_BATCH = 64,  /* per turn, so that open connections get theirs */
        RETRY_MS = 100,     /* after the kernel had no descriptor */
        RETRIES = 16,       /* to find a port that is free on both loopback addresses */
};

struct listener {
        struct watch watch; /* its fd is owned while registered; see fd */
        int fd;
        struct relay *relay;
        struct listener *next;
        bool is_public, is_unix, paused;
        uint16_t port;
        char *path;    /* owned or NULL: unlinked at the end */
        uint64_t turn; /* in which there last was somebody */
        struct deferred later;
};

/* Close with a reset: there is nothing to say to this one. */
static void turn_away(int fd)
{
        struct linger now = {.l_onoff = 1, .l_linger = 0};

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
}

static void new_client(struct listener *l, int fd, const struct wire_addr *peer)
{
        struct flow *flow = flow_new(l->relay, FLOW_HTTP, FLOW_HEAD);

        if (flow == NULL) {
                relay_note_lost(l->relay, "a client was turned away", ENOMEM);
                turn_away(fd);
                return;
        }
        flow->public_listener = l->is_public;
        flow->wants_login = l->is_public && !l->is_unix && l->relay->options->logins != NULL;
        if (l->is_public) {
                flow->key = flow_key(peer);
        } else if (!flow_set_key(flow, flow_key(peer))) {
                flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
                turn_away(fd);
                return;
        }
        flow_attach_client(flow, fd);
        flow_limit(flow, l->is_public ? (uint64_t)l->relay->options->limits.head_ms : ANNOUNCE_MS);
        front_drive(flow);
}

static void accepted(struct listener *l, int fd, const struct sockaddr_storage *from)
{
        struct wire_addr peer = {.family = 0};
        struct flow *flow;

        if (!l->is_unix)
                address_from_socket((const struct sockaddr *)from, &peer);
        flow = l->is_public ? NULL : flow_find(l->relay, flow_key(&peer));
        if (flow != NULL && flow->client.fd < 0 && flow->kind == FLOW_REDIRECTED) {
                flow_attach_client(flow, fd);
                flow->client.readable = true; /* what it says first is often there already */
                flow_joined(flow);
        } else if ((l->is_public && !l->is_unix && !door_admits(l->relay, &peer)) ||
                   (!l->is_public && !limits_has_room(l->relay))) {
                turn_away(fd);
        } else {
                new_client(l, fd, &peer);
        }
}

static void retry(uv_timer_t *timer)
{
        listener_resume(timer->data);
}

void listener_wait(struct relay *relay, const char *why)
{
        if (relay_may_note(relay, &relay->noted_room_us))
                relay_note(relay, "new clients have to wait: %s", why);
        relay->metrics.waits += !relay->paused;
        relay->paused = true;
        if (relay->retry.data == NULL) {
                uv_timer_init(loop_uv(relay->loop), &relay->retry);
                relay->retry.data = relay;
        }
        uv_timer_start(&relay->retry, retry, RETRY_MS, 0);
}

/* New clients wait in the kernel's queue until there is room: a flow's end, or RETRY_MS. Level
 * triggered as it is, the socket must leave the loop for that long. */
static void pause_accepting(struct listener *l, const char *why)
{
        struct relay *relay = l->relay;

        loop_remove(relay->loop, &l->watch);
        l->paused = true;
        listener_wait(relay, why);
}

bool listener_is_lack(int error)
{
        return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void accept_some(struct listener *l)
{
        /* Who comes alone needs no second look: level triggered, that comes by itself. */
        int batch = l->relay->turns - l->turn <= 1 ? ACCEPT_BATCH : 1;

        l->turn = l->relay->turns;
        for (int i = 0; i < batch; i++) {
                struct sockaddr_storage from;
                socklen_t len = sizeof from;
                int fd;

                if (l->is_public && !limits_has_room(l->relay)) {
                        pause_accepting(l, "as many connections are open as may be");
                        return;
                }
                fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0 && listener_is_lack(errno))
                        pause_accepting(l, strerror(errno));
                if (fd < 0 && errno != ECONNABORTED && errno != EINTR && errno != EPROTO)
                        return;
                if (fd >= 0)
                        accepted(l, fd, &from);
        }
}

static void accept_later(struct deferred *d)
{
        accept_some((struct listener *)((char *)d - offsetof(struct listener, later)));
}

/* Programs that were told to join connect, and then announce it: whose announcement lies in this
 * turn's events is known by it once they have been looked at. */
static void ready(struct watch *w, uint32_t events)
{
        struct listener *l = (struct listener *)((char *)w - offsetof(struct listener, watch));

        (void)events;
        if (!l->is_public && l->relay->unjoined > 0)
                loop_defer(l->relay->loop, &l->later);
        else
                accept_some(l);
}

static int add(struct relay *relay, int fd, const struct bound *bound, bool is_public)
{
        struct listener *l = calloc(1, sizeof *l);

        if (l == NULL) {
                close(fd);
                return -ENOMEM;
        }
        l->watch = (struct watch){.ready = ready, .fd = fd};
        l->later.run = accept_later;
        l->fd = fd;
        l->relay = relay;
        l->is_public = is_public;
        l->is_unix = bound->is_unix;
        l->port = bound->port;
        l->path = bound->path != NULL ? strdup(bound->path) : NULL;
        if (!l->is_unix)
                side_set_options(relay, fd); /* accepted sockets take them over: tcp(7) */
        LL_PREPEND(relay->listeners, l);
        return loop_add_level(relay->loop, &l->watch);
}

int listener_open_private(struct relay *relay)
{
        for (int i = 0; i < RETRIES; i++) {
                struct bound v4 = {.port = 0}, v6;
                int one = bound_loopback(AF_INET, &v4), other;

                if (one < 0)
                        return one;
                v6 = (struct bound){.port = v4.port};
                other = bound_loopback(AF_INET6, &v6);
                if (other == -EADDRINUSE) {
                        close(one);
                        continue;
                }
                relay->private_port = v4.port;
                /* a machine without IPv6 makes no V6ONLY sockets */
                other = other >= 0 ? add(relay, other, &v6, false) : 0;
                one = add(relay, one, &v4, false);
                return one < 0 ? one : other;
        }
        return -EADDRINUSE;
}

static void cannot_listen(const char *address, int error)
{
        fprintf(stderr, "tapline: --listen %s: %s%s\n", address, strerror(error),
                bound_hint(error));
}

/* Loopback and UNIX sockets are this machine's own affair; more is for those who said who may come.
 */
static int check_reach(const struct relay *relay, const char *address, const struct bound *bound)
{
        const struct relay_options *o = relay->options;

        if (bound->is_unix || bound->is_loopback)
                return 0;
        if (o->logins == NULL && o->allow == NULL) {
                fprintf(stderr,
                        "tapline: --listen %s: whoever reaches this address could use the relay; "
                        "say who may with --auth-file FILE (users and passwords) or --allow LIST "
                        "(client addresses), or listen on 127.0.0.1, [::1] or unix:PATH\n",
                        address);
                return -EINVAL;
        }
        fprintf(stderr,
                "tapline: warning: --listen %s serves other machines (%s%s%s), and lets them reach "
                "what this machine reaches; what passes between them and the relay is not "
                "encrypted\n",
                address, o->logins != NULL ? "with a login of --auth-file" : "",
                o->logins != NULL && o->allow != NULL ? ", " : "",
                o->allow != NULL ? "from the addresses of --allow" : "");
        return 0;
}

static int add_public(struct relay *relay, int fd, const char *address, const struct bound *bound)
{
        int result = check_reach(relay, address, bound);

        if (result < 0) {
                close(fd);
                return result;
        }
        result = add(relay, fd, bound, true);
        if (result < 0)
                cannot_listen(address, -result);
        return result;
}

int listener_open(struct relay *relay, const char *address)
{
        struct bound bound;
        int fd = bound_open(address, &bound);

        if (fd == -EINVAL)
                fprintf(stderr,
                        "tapline: --listen %s: it must be ADDRESS:PORT, as in 127.0.0.1:8083, or "
                        "unix:PATH\n",
                        address);
        else if (fd < 0)
                cannot_listen(address, -fd);
        return fd < 0 ? fd : add_public(relay, fd, address, &bound);
}

int listener_adopt(struct relay *relay, int fd, const char *name)
{
        struct bound bound;
        int result = bound_adopt(fd, &bound);

        if (result == 0)
                return add_public(relay, fd, name, &bound);
        fprintf(stderr, "tapline: the socket %s that was passed is not a listening stream socket\n",
                name);
        close(fd);
        return result;
}

bool listener_has_port(const struct relay *relay, uint16_t port)
{
        for (const struct listener *l = relay->listeners; l != NULL; l = l->next)
                if (!l->is_unix && l->port == port)
                        return true;
        return false;
}

void listener_resume(struct relay *relay)
{
        struct listener *l;

        if (!relay->paused)
                return;
        if (!limits_has_room(relay)) {
                uv_timer_start(&relay->retry, retry, RETRY_MS, 0);
                return;
        }
        relay->paused = false;
        uv_timer_stop(&relay->retry);
        control_resume(relay);
        LL_FOREACH (relay->listeners, l) {
                if (!l->paused)
                        continue;
                l->paused = false;
                l->watch.fd = l->fd;
                if (loop_add_level(relay->loop, &l->watch) < 0)
                        pause_accepting(l, strerror(ENOMEM));
        }
}

/* An address of this machine is one that can be bound. */
static bool is_local(const struct wire_addr *to)
{
        struct wire_addr any_port = *to;
        struct sockaddr_storage ss;
        socklen_t len;
        int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool local;

        any_port.port = 0;
        len = address_to_socket(&any_port, &ss);
        local = fd >= 0 && bind(fd, (struct sockaddr *)&ss, len) == 0;
        if (fd >= 0)
                close(fd);
        return local;
}

static bool is_any(const struct wire_addr *a)
{
        static const uint8_t any[sizeof a->bytes];

        return memcmp(a->bytes, any, sizeof any) == 0;
}

bool listener_is_own(const struct relay *relay, const struct wire_addr *to)
{
        for (const struct listener *l = relay->listeners; l != NULL; l = l->next) {
                struct sockaddr_storage ss;
                socklen_t len = sizeof ss;
                struct wire_addr at;

                if (l->port != to->port || getsockname(l->fd, (struct sockaddr *)&ss, &len) < 0)
                        continue;
                address_from_socket((const struct sockaddr *)&ss, &at);
                if (at.family != to->family)
                        continue;
                /* connect(2) to the unspecified address goes to this machine. */
                if (memcmp(at.bytes, to->bytes, sizeof at.bytes) == 0 || is_any(to) ||
                    (is_any(&at) && is_local(to)))
                        return true;
        }
        return false;
}

void listener_take_waiting(struct relay *relay)
{
        struct listener *l;

        LL_FOREACH (relay->listeners, l)
                if (l->later.queued)
                        accept_some(l);
}

void listener_close_all(struct relay *relay)
{
        struct listener *l, *next;

        LL_FOREACH_SAFE (relay->listeners, l, next) {
                loop_remove(relay->loop, &l->watch);
                loop_undefer(relay->loop, &l->later);
                close(l->fd);
                if (l->path != NULL)
                        unlink(l->path);
                free(l->path);
                free(l);
        }
        relay->listeners = NULL;
        relay->paused = false;
}
