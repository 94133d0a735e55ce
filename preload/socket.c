/* What a socket is; see socket.h. */
#include "socket.h"
#include "sys.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <time.h>

bool socket_to_wire(const struct sockaddr *from, socklen_t len, struct wire_addr *out)
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

/* nr: getsockname(2) or getpeername(2). */
static bool ask_address(long nr, int fd, struct wire_addr *out)
{
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;

        memset(out, 0, sizeof *out);
        return sys(nr, fd, &ss, &len) == 0 && socket_to_wire((struct sockaddr *)&ss, len, out);
}

bool socket_local(int fd, struct wire_addr *out)
{
        return ask_address(SYS_getsockname, fd, out);
}

bool socket_peer(int fd, struct wire_addr *out)
{
        return ask_address(SYS_getpeername, fd, out);
}

bool socket_is_any(const struct wire_addr *a)
{
        static const unsigned char none[16];

        return memcmp(a->bytes, none, sizeof none) == 0;
}

bool socket_is_loopback(const struct wire_addr *a)
{
        static const unsigned char one[16] = {[15] = 1};

        if (socket_is_any(a))
                return true;
        return a->family == AF_INET ? a->bytes[0] == 127 : memcmp(a->bytes, one, sizeof one) == 0;
}

int socket_option(int fd, int level, int name)
{
        int value = 0;
        socklen_t len = sizeof value;

        if (sys6(SYS_getsockopt, fd, level, name, SYS_LONG(&value), SYS_LONG(&len), 0) < 0)
                return -1;
        return value;
}

uint64_t socket_cookie(int fd)
{
        uint64_t cookie = 0;
        socklen_t len = sizeof cookie;

        if (sys6(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, SYS_LONG(&cookie), SYS_LONG(&len), 0) <
            0)
                return 0;
        return cookie;
}

int socket_tcp_family(int fd)
{
        int family = socket_option(fd, SOL_SOCKET, SO_DOMAIN);

        if (family != AF_INET && family != AF_INET6)
                return AF_UNSPEC;
        return socket_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP ? family : AF_UNSPEC;
}

bool socket_is_tcp(int fd)
{
        return socket_tcp_family(fd) != AF_UNSPEC;
}

bool socket_is_fresh(int fd)
{
        struct pollfd end = {.fd = fd, .events = POLLRDHUP};
        struct timespec now = {0, 0};
        struct tcp_info info;
        socklen_t len = sizeof info.tcpi_state; /* the first byte; the rest costs more to collect
                                                   than to skip */

        info.tcpi_state = 0;
        if (sys6(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, SYS_LONG(&info), SYS_LONG(&len), 0) <
                    0 ||
            info.tcpi_state != TCP_CLOSE)
                return false;
        /* Closed by a failure or an end, not fresh: both directions are shut until connect() or
         * AF_UNSPEC has cleared it away. */
        return sys6(SYS_ppoll, SYS_LONG(&end), 1, SYS_LONG(&now), 0, 0, 0) >= 0 &&
               (end.revents & POLLRDHUP) == 0;
}
