/* connect(2), getpeername(2) and getsockopt(2) as the program sees them. The logic is in
 * redirect.c; this file only decides between it and the real call. */
#include "config.h"
#include "real.h"
#include "redirect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

EXPORT int connect(int fd, const struct sockaddr *to, socklen_t len)
{
        int saved = errno;
        struct plan plan;

        switch (redirect_plan(fd, to, len, &plan)) {
        case REDIRECT:
                errno = saved;
                return redirect_connect(fd, &plan, to, len);
        case JOINED:
                errno = saved;
                return redirect_again(fd, to, len);
        case PASS:
                break;
        }
        errno = saved;
        return REAL(connect)(fd, to, len);
}

/* Write an original destination as the descriptor's family has it. */
static void fill_peer(const struct wire_addr *peer, int family, struct sockaddr *out, socklen_t *len)
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
        struct wire_verdict verdict;
        struct sockaddr_in6 copy;
        int result = REAL(getpeername)(fd, address, len), saved = errno;

        if (result != 0 || !config.ready || cap < sizeof(struct sockaddr_in))
                return result;
        memset(&copy, 0, sizeof copy);
        memcpy(&copy, address, *len < sizeof copy ? *len : sizeof copy);
        if (redirect_query(fd, (struct sockaddr *)&copy, &verdict) &&
            verdict.state != WIRE_STATE_FAILED) {
                *len = cap;
                fill_peer(&verdict.peer, copy.sin6_family, address, len);
        }
        errno = saved;
        return result;
}

/* SO_ERROR of a joined descriptor. Until the relay has let go of it, the kernel says 0; after a
 * refusal it says ECONNRESET, since that is what the relay could do; the relay knows the errno. */
static void true_error(int fd, int *value)
{
        struct wire_verdict verdict;

        if (*value == 0)
                redirect_settled(fd);
        else if (redirect_query(fd, NULL, &verdict) && verdict.state == WIRE_STATE_FAILED)
                *value = verdict.error;
}

EXPORT int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
        int result = REAL(getsockopt)(fd, level, name, value, len), saved = errno;

        if (result != 0 || !config.ready ||
            atomic_load_explicit(&config_relay_port, memory_order_relaxed) == 0 || *len != sizeof(int))
                return result;
        if (level == SOL_SOCKET && name == SO_ERROR)
                true_error(fd, value);
        else if (level == IPPROTO_TCP && name == TCP_NOTSENT_LOWAT && *(int *)value == REDIRECT_LOWAT)
                *(int *)value = 0;
        errno = saved;
        return result;
}
