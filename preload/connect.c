/* connect(2), getpeername(2) and getsockopt(2) as the program sees them. The logic is in
 * redirect.c; this file only decides between it and the real call. */
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

/* Write an original destination as the descriptor's family has it. */
static void fill_peer(const struct wire_addr *peer, int family, struct sockaddr *out,
                      socklen_t *len)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(peer->port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(peer->port)};
        socklen_t full = family == AF_INET ? sizeof v4 : sizeof v6;

        memcpy(&v4.sin_addr, peer->bytes, 4);
        if (peer->family == AF_INET) {
                v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
                memcpy(v6.sin6_addr.s6_addr + 12, peer->bytes, 4);
        } else {
                memcpy(&v6.sin6_addr, peer->bytes, 16);
                v6.sin6_scope_id = peer->scope_id;
        }
        memcpy(out, family == AF_INET ? (void *)&v4 : (void *)&v6, *len < full ? *len : full);
        *len = full;
}

EXPORT int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict len)
{
        socklen_t cap = len != NULL ? *len : 0;
        int result = REAL(getpeername)(fd, address, len);
        struct wire_addr peer;

        if (result == 0 && len != NULL && cap >= *len && redirect_peer(fd, address, *len, &peer)) {
                *len = cap;
                fill_peer(&peer, address->sa_family, address, len);
        }
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
