/* connect(2), getpeername(2), getsockname(2) and getsockopt(2) as the program sees them. The logic
 * is in redirect.c; this file only decides between it and the real call. */
#include "config.h"
#include "passed.h"
#include "real.h"
#include "redirect.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

EXPORT int connect(int fd, const struct sockaddr *to, socklen_t len)
{
        struct plan plan;
        int result;

        if (passed_datagram(fd, to, len)) {
                errno = ECONNREFUSED;
                return -1;
        }
        if (redirect_plan(fd, to, len, &plan) == REDIRECT)
                return redirect_connect(fd, &plan, to, len);
        result = REAL(connect)(fd, to, len);
        if (result < 0 && errno == ECONNRESET)
                redirect_failed(fd);
        return result;
}

/* Write an address as the descriptor's family has it, which is that of what *out holds. len: room
 * there. */
static void fill_address(const struct wire_addr *address, struct sockaddr *out, socklen_t cap,
                         socklen_t *len)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
        bool is_v4 = out->sa_family == AF_INET;

        memcpy(&v4.sin_addr, address->bytes, 4);
        if (address->family == AF_INET) {
                v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
                memcpy(v6.sin6_addr.s6_addr + 12, address->bytes, 4);
        } else {
                memcpy(&v6.sin6_addr, address->bytes, 16);
                v6.sin6_scope_id = address->scope_id;
        }
        *len = is_v4 ? sizeof v4 : sizeof v6;
        memcpy(out, is_v4 ? (void *)&v4 : (void *)&v6, cap < *len ? cap : *len);
}

/* What the kernel says is looked at only if the program gave it room for all of it. */
EXPORT int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict len)
{
        socklen_t cap = len != NULL ? *len : 0;
        int result = REAL(getpeername)(fd, address, len);
        struct wire_addr peer;

        if (result == 0 && len != NULL && cap >= *len && redirect_peer(fd, address, *len, &peer))
                fill_address(&peer, address, cap, len);
        return result;
}

EXPORT int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict len)
{
        socklen_t cap = len != NULL ? *len : 0;
        int result = REAL(getsockname)(fd, address, len);
        struct wire_addr own;

        if (result == 0 && len != NULL && cap >= *len && redirect_own(fd, address, *len, &own))
                fill_address(&own, address, cap, len);
        return result;
}

EXPORT int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
        int result = REAL(getsockopt)(fd, level, name, value, len);

        if (level == SOL_SOCKET && name == SO_ERROR && result == 0 && *len == sizeof(int) &&
            *(int *)value == ECONNRESET)
                *(int *)value = redirect_true_error(fd, ECONNRESET);
        return result;
}
