/* Makes a direct attempt's socket like the program's own; see struct dial_manner in dial.h. */
#include "net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static void set_int(int fd, int level, int name, int value)
{
        if (value > 0)
                setsockopt(fd, level, name, &value, sizeof value);
}

int dial_manner_apply(const struct dial_manner *manner, int fd, int family)
{
        static const uint8_t any[sizeof manner->local.bytes];
        struct wire_addr from = manner->local;
        struct sockaddr_storage ss;
        socklen_t len;

        set_int(fd, IPPROTO_TCP, TCP_SYNCNT, manner->syn_count);
        set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)manner->user_timeout_ms);
        if (from.family != family || memcmp(from.bytes, any, sizeof any) == 0)
                return 0;
        from.port = 0; /* its own is taken: the program's socket has it */
        len = address_to_socket(&from, &ss);
        set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        return bind(fd, (struct sockaddr *)&ss, len) < 0 ? errno : 0;
}
