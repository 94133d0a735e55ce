/* What goes by without the relay, and is told to it: connections that could not be taken there, and
 * datagrams to the ports of DNS and QUIC. */
#ifndef PRELOAD_PASSED_H
#define PRELOAD_PASSED_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <sys/socket.h>

/* One message, not waited for. flags: enum wire_dial_flags. */
void passed_report(const struct wire_addr *to, enum wire_passed_reason reason, uint32_t flags);
/* The same as a last message on an open control connection. */
void passed_tell(int control, const struct wire_addr *to, enum wire_passed_reason reason,
                 uint32_t flags);

/* fd is about to be connected, or to send, to an address. If it is a datagram socket and the port
 * is that of DNS or QUIC, reports it, once per socket and address. Returns true if the call is to
 * fail with ECONNREFUSED. Costs two comparisons otherwise. to may be NULL. */
bool passed_datagram(int fd, const struct sockaddr *to, socklen_t len);

#endif
