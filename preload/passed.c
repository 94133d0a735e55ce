/* What goes by without the relay; see passed.h. */
#include "passed.h"
#include "config.h"
#include "control.h"
#include "socket.h"

enum { PORT_DNS = 53, PORT_QUIC = 443, SEEN = 64 };

void passed_report(const struct wire_addr *to, enum wire_passed_reason reason, uint32_t flags)
{
        struct wire_passed message = {.to = *to, .reason = reason, .flags = flags};

        control_report(WIRE_PASSED, &message.head, sizeof message);
}

void passed_tell(int control, const struct wire_addr *to, enum wire_passed_reason reason,
                 uint32_t flags)
{
        struct wire_passed message = {.to = *to, .reason = reason, .flags = flags};

        control_send(control, WIRE_PASSED, &message.head, sizeof message);
}

/* An unconnected socket sends every datagram with an address. A slot lost to another socket, or to
 * a child of vfork(2), costs a second message at most. */
static bool is_first(int fd, const struct wire_addr *to)
{
        static _Atomic uint64_t seen[SEEN];
        uint64_t hash = socket_cookie(fd) * 0x9e3779b97f4a7c15u ^ to->port;

        for (size_t i = 0; i < sizeof to->bytes; i++)
                hash = (hash ^ to->bytes[i]) * 0x100000001b3u; /* FNV-1a's prime */
        return atomic_exchange_explicit(&seen[hash >> 58], hash, memory_order_relaxed) != hash;
}

bool passed_datagram(int fd, const struct sockaddr *to, socklen_t len)
{
        struct wire_addr address;
        bool refused;

        if (!config.ready || to == NULL || !socket_to_wire(to, len, &address) ||
            (address.port != PORT_DNS && address.port != PORT_QUIC))
                return false;
        if (address.port == PORT_QUIC && socket_is_loopback(&address) && !config.redirect_loopback)
                return false;
        if (socket_option(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM)
                return false;
        refused = address.port == PORT_QUIC && config.refuse_quic;
        if (is_first(fd, &address))
                passed_report(&address, refused ? WIRE_PASSED_QUIC : WIRE_PASSED_UDP, 0);
        return refused;
}
