/* Listening sockets; see listener.h. */
#include "net/listener.h"
#include "net/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

enum {
        BACKLOG = 4096,
        HEAD_MS = 30000,    /* a request's head */
        ANNOUNCE_MS = 5000, /* an announcement that comes after its connection */
        ACCEPT_BATCH = 64,  /* per turn, so that open connections get theirs */
        RETRIES = 16,       /* to find a port that is free on both loopback addresses */
};

struct listener {
        struct watch watch; /* its fd is owned */
        struct relay *relay;
        struct listener *next;
        bool is_public;
        uint16_t port;
};

static void accepted(struct listener *l, int fd, const struct sockaddr_storage *from)
{
        struct wire_addr peer;
        struct flow *flow;

        address_from_socket((const struct sockaddr *)from, &peer);
        flow = l->is_public ? NULL : flow_find(l->relay, flow_key(&peer));
        if (flow != NULL && flow->client.fd < 0 && flow->kind == FLOW_REDIRECTED) {
                flow_attach_client(flow, fd);
                flow_joined(flow);
                return;
        }
        flow = flow_new(l->relay, FLOW_HTTP, FLOW_HEAD);
        if (flow == NULL) {
                close(fd);
                return;
        }
        flow->public_listener = l->is_public;
        if (!l->is_public)
                flow_set_key(flow, flow_key(&peer));
        else
                flow->key = flow_key(&peer);
        flow_attach_client(flow, fd);
        flow_limit(flow, l->is_public ? HEAD_MS : ANNOUNCE_MS);
        front_drive(flow);
}

static void ready(struct watch *w, uint32_t events)
{
        struct listener *l = (struct listener *)((char *)w - offsetof(struct listener, watch));

        (void)events;
        for (int i = 0; i < ACCEPT_BATCH; i++) {
                struct sockaddr_storage from;
                socklen_t len = sizeof from;
                int fd = accept4(w->fd, (struct sockaddr *)&from, &len,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd < 0)
                        return; /* EMFILE too: the connection waits in the backlog for a free
                                   descriptor */
                accepted(l, fd, &from);
        }
}

static int bind_listen(const struct sockaddr *address, socklen_t len)
{
        int one = 1, error;
        int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (address->sa_family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        if (bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0)
                return fd;
        error = errno;
        close(fd);
        return -error;
}

static int add(struct relay *relay, int fd, bool is_public, uint16_t port)
{
        struct listener *l = calloc(1, sizeof *l);

        if (l == NULL) {
                close(fd);
                return -ENOMEM;
        }
        l->watch = (struct watch){.ready = ready, .fd = fd};
        l->relay = relay;
        l->is_public = is_public;
        l->port = port;
        LL_PREPEND(relay->listeners, l);
        return loop_add_level(relay->loop, &l->watch);
}

static int open_v4(uint16_t *port)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        socklen_t len = sizeof v4;
        int fd;

        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = bind_listen((struct sockaddr *)&v4, sizeof v4);
        if (fd >= 0 && getsockname(fd, (struct sockaddr *)&v4, &len) == 0)
                *port = ntohs(v4.sin_port);
        return fd;
}

static int open_v6(uint16_t port)
{
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

        v6.sin6_addr = in6addr_loopback;
        return bind_listen((struct sockaddr *)&v6, sizeof v6);
}

int listener_open_private(struct relay *relay)
{
        for (int i = 0; i < RETRIES; i++) {
                int v4 = open_v4(&relay->private_port), v6;

                if (v4 < 0)
                        return v4;
                v6 = open_v6(relay->private_port);
                if (v6 == -EADDRINUSE) {
                        close(v4);
                        continue;
                }
                if (v6 >= 0 && add(relay, v6, false, relay->private_port) < 0)
                        return -ENOMEM;
                return add(
                        relay, v4, false,
                        relay->private_port); /* a machine without IPv6 makes no V6ONLY sockets */
        }
        return -EADDRINUSE;
}

static int resolve(const char *text, struct addrinfo **list, uint16_t *port)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
        const char *colon = strrchr(text, ':');
        char host[64], *end;
        size_t len = colon != NULL ? (size_t)(colon - text) : 0;
        unsigned long value = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;

        if (len == 0 || len >= sizeof host || colon[1] < '0' || colon[1] > '9' || *end != '\0' ||
            value > 65535)
                return -EINVAL;
        *port = (uint16_t)value;
        memcpy(host, text, len);
        host[len] = '\0';
        if (host[0] == '[' && host[len - 1] == ']') {
                host[len - 1] = '\0';
                memmove(host, host + 1, len - 1);
        }
        return getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, colon + 1, &hints,
                           list) == 0
                       ? 0
                       : -EINVAL;
}

static bool is_loopback(const struct sockaddr *address)
{
        const struct sockaddr_in *v4 = (const void *)address;
        const struct sockaddr_in6 *v6 = (const void *)address;

        if (address->sa_family == AF_INET)
                return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

int listener_open(struct relay *relay, const char *address)
{
        struct addrinfo *list = NULL;
        uint16_t port;
        int fd, result = resolve(address, &list, &port);

        if (result < 0) {
                fprintf(stderr,
                        "tapline: --listen %s: it must be ADDRESS:PORT, as in 127.0.0.1:8083\n",
                        address);
                return result;
        }
        if (!is_loopback(list->ai_addr)) {
                fprintf(stderr,
                        "tapline: --listen %s: only loopback addresses are served (127.0.0.1 or "
                        "[::1]), "
                        "since anyone who reaches the relay may use it\n",
                        address);
                freeaddrinfo(list);
                return -EINVAL;
        }
        fd = bind_listen(list->ai_addr, list->ai_addrlen);
        freeaddrinfo(list);
        if (fd < 0) {
                fprintf(stderr, "tapline: --listen %s: %s\n", address, strerror(-fd));
                return fd;
        }
        return add(relay, fd, true, port);
}

bool listener_has_port(const struct relay *relay, uint16_t port)
{
        for (const struct listener *l = relay->listeners; l != NULL; l = l->next)
                if (l->port == port)
                        return true;
        return false;
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

                if (l->port != to->port ||
                    getsockname(l->watch.fd, (struct sockaddr *)&ss, &len) < 0)
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

void listener_close_all(struct relay *relay)
{
        struct listener *l, *next;

        LL_FOREACH_SAFE (relay->listeners, l, next) {
                int fd = l->watch.fd;

                loop_remove(relay->loop, &l->watch);
                if (fd >= 0)
                        close(fd);
                free(l);
        }
        relay->listeners = NULL;
}
