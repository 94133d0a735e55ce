/* The own address of a redirected program; see own.h. */
#include "net/own.h"

#include <string.h>
#include <unistd.h>

static bool is_any(const struct wire_addr *address)
{
        static const uint8_t none[sizeof address->bytes];

        return address->family == 0 || memcmp(address->bytes, none, sizeof none) == 0;
}

/* An IPv4 address fits an IPv6 descriptor, as a mapped one, but not the other way round. */
static bool fits(const struct wire_addr *own, const struct wire_addr *to)
{
        return own->family == to->family || (own->family == AF_INET && to->family == AF_INET6);
}

static bool name_of(int fd, struct wire_addr *out)
{
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;

        if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
                return false;
        address_from_socket((struct sockaddr *)&ss, out);
        out->port = 0;
        return true;
}

bool own_of_flow(const struct flow *flow, struct wire_addr *out)
{
        memset(out, 0, sizeof *out);
        if (!is_any(&flow->manner.local)) {
                *out = flow->manner.local;
                out->port = 0;
                return true;
        }
        if (flow->server.fd < 0 || !name_of(flow->server.fd, out))
                return false;
        if (!fits(out, &flow->address))
                memset(out, 0, sizeof *out);
        return upstream_is_direct(flow->via) && out->family == flow->address.family;
}

/* connect(2) on a datagram socket looks the route up and chooses the address, udp(7). */
void own_by_route(const struct wire_addr *to, struct wire_addr *out)
{
        struct sockaddr_storage ss;
        socklen_t len = address_to_socket(to, &ss);
        int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return;
        if (connect(fd, (struct sockaddr *)&ss, len) == 0)
                name_of(fd, out);
        close(fd);
}
