/* send(2) and its kin. They fail with the relay's reset where the real ones would fail with the
 * upstream's errno; with MSG_FASTOPEN and an address they connect; with an address on a datagram
 * socket they may be told to fail. */
#include "passed.h"
#include "real.h"
#include "redirect.h"

#include <errno.h>
#include <sys/socket.h>

static inline ssize_t sent(ssize_t n, int fd)
{
        if (__builtin_expect(n < 0, 0) && errno == ECONNRESET)
                redirect_failed(fd);
        return n;
}

/* A call that may connect. Returns 0 to go on with *flags, or -1 with errno. */
static int prepare(int fd, int *flags, const struct sockaddr *to, socklen_t len)
{
        struct plan plan;

        if (to == NULL)
                return 0;
        if (passed_datagram(fd, to, len)) {
                errno = ECONNREFUSED;
                return -1;
        }
        if ((*flags & MSG_FASTOPEN) == 0 || redirect_plan(fd, to, len, &plan) != REDIRECT)
                return 0;
        plan.waits = plan.waits && (*flags & MSG_DONTWAIT) == 0;
        *flags &= ~MSG_FASTOPEN;
        return redirect_connect(fd, &plan, to, len);
}

EXPORT ssize_t send(int fd, const void *data, size_t len, int flags)
{
        return sent(REAL(send)(fd, data, len, flags), fd);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len)
{
        if (prepare(fd, &flags, to, to_len) < 0)
                return -1;
        return sent(REAL(sendto)(fd, data, len, flags, to, to_len), fd);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
        if (message != NULL && prepare(fd, &flags, message->msg_name, message->msg_namelen) < 0)
                return -1;
        return sent(REAL(sendmsg)(fd, message, flags), fd);
}

/* Messages before one that is to fail are sent, as the kernel does it. Behind the one that connects
 * MSG_FASTOPEN fails the next. */
EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
        unsigned good = 0;
        int given = flags;

        while (good < count && flags == given &&
               prepare(fd, &flags, messages[good].msg_hdr.msg_name,
                       messages[good].msg_hdr.msg_namelen) == 0)
                good++;
        if (good == 0 && count > 0)
                return -1;
        return (int)sent(REAL(sendmmsg)(fd, messages, good, flags), fd);
}
