/* Who may use the relay from outside: the list of client addresses, and users with passwords. A
 * client on this machine's loopback passes the list; one that comes through a UNIX socket has shown
 * by that that it may. */
#ifndef NET_DOOR_H
#define NET_DOOR_H

#include "net/flow.h"

struct head;

/* True if a client with this address may be served. One that may not is noted, once a minute. */
bool door_admits(struct relay *relay, const struct wire_addr *peer);

/* True if the flow's client needs no login, or the request has a right one, which is then taken out
 * of head: it was for us. Otherwise the client has been told 407, and the flow is closed. */
bool door_login_http(struct flow *flow, struct head *head);

/* True if this login is a right one; one that is not is noted, once a minute. */
bool door_login(struct flow *flow, const char *user, size_t user_len, const char *password,
                size_t password_len);

/* True for 127.0.0.0/8 and ::1. */
bool door_is_loopback(const struct wire_addr *address);

#endif
