/* Failures of the network of one kind, gathered into one finding: fifty refused connections are one
 * cause. Used by rules_network.c, rules_proxy.c and rules_tls.c. */
#ifndef EXPLAIN_NETFAULT_H
#define EXPLAIN_NETFAULT_H

#include "explain/rules.h"

enum { NETFAULT_HOSTS = 3, NETFAULT_GROUPS = 16 };

struct netfault {
        enum finding_code code;
        const char *via;                    /* the proxy, or NULL; groups differ by it */
        const char *hosts[NETFAULT_HOSTS];  /* distinct, borrowed */
        int64_t ports[NETFAULT_HOSTS];      /* 0: none */
        size_t host_count;                  /* distinct ones; the array holds the first */
        const json_t *events[EVIDENCE_MAX]; /* the first ones */
        size_t count;
        bool certain; /* at least one of them can have stopped the run */
};

struct netfaults {
        struct netfault groups[NETFAULT_GROUPS]; /* what is beyond goes into the last */
        size_t count;
};

/* What a group is made of. */
struct netfault_item {
        enum finding_code code;
        const char *via;
        const char *host;
        int64_t port;
        const json_t *event;
        bool certain;
};

void netfault_add(struct netfaults *all, const struct netfault_item *item);

/* "a:443, b:443 and 2 more". Caller owns; NULL when out of memory. */
char *netfault_hosts(const struct netfault *group);

/* When the attempt that this event ends began, in microseconds. */
int64_t netfault_began_us(const json_t *event);

/* Was this address IPv6, where the host has IPv4 addresses too or others were reached by IPv4? */
bool netfault_is_ipv6(const struct facts *facts, const char *address, const char *name);

/* Add to the evidence what speaks for the network elsewhere, and how many events are not shown. */
void netfault_proof(struct draft *d, const struct facts *facts, const struct netfault *group);

#endif
