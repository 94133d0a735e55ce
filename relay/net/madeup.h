/* Addresses that stand for names which cannot be looked up here, or need not be: from 198.18.0.0/15
 * (RFC 2544) and fd74:6170:6c69:6e65::/64 (RFC 4193), one of each per name, for the relay's life. A
 * connection to one is dialled by its name. */
#ifndef NET_MADEUP_H
#define NET_MADEUP_H

#include "net/relay.h"

struct madeup_table;

/* Returns NULL when out of memory. Caller owns. */
struct madeup_table *madeup_new(void);
void madeup_free(struct madeup_table *table); /* NULL allowed */

/* The address of family (AF_UNSPEC: IPv4) for name, made now if need be. Returns false if none is
 * to be had: not wanted (relay_options.resolve; no upstream; a host that is reached directly), not
 * a host name, or all are given out. */
bool madeup_give(struct relay *relay, const char *name, int family, struct wire_addr *out);

/* The name that address stands for, or NULL. Borrowed for the relay's life. */
const char *madeup_name(const struct relay *relay, const struct wire_addr *address);

#endif
