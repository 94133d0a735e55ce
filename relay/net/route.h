/* Which way out: lists of hosts (no_proxy, bypass) with curl's syntax, and the rules that choose an
 * upstream by them. Pure. */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include "net/upstream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A parsed list: names, suffixes (".example", "example"), addresses, CIDR blocks, each with an
 * optional :port; "*" matches all. Separated by commas or blanks. */
struct host_list;

/* Returns NULL with errno (EINVAL with the bad item in *bad, owned by the caller). */
struct host_list *host_list_parse(const char *text, char **bad);
void host_list_free(struct host_list *list);

/* name or address may be NULL; address is a literal. NULL list matches nothing. */
bool host_list_match(const struct host_list *list, const char *name, const char *address,
                     uint16_t port);

/* Hosts that match go out this way. */
struct route {
        struct route *next;      /* owned */
        struct host_list *match; /* owned */
        struct upstream *via;    /* owned; NULL: direct */
};

/* Parse "LIST=UPSTREAM": a host list, and choices as upstream_parse() reads them. Returns 0, or
 * -EINVAL with a reason in why, or -ENOMEM. */
int route_parse(const char *text, struct route **out, char *why, size_t cap);
void route_free(struct route *list);

/* All that decides about the way. Everything is borrowed. */
struct routing {
        const struct route *rules;           /* the first that matches counts */
        const struct host_list *no_proxy;    /* then: directly */
        const struct upstream *https, *http; /* then these; NULL: direct */
};

/* The choices for a target; plain: an http:// request that is forwarded. name or address may be
 * NULL. NULL: direct. */
const struct upstream *routing_list(const struct routing *r, bool plain, const char *name,
                                    const char *address, uint16_t port);

/* For a name whose port is not known yet: could it go to a proxy that looks it up (may_proxy), and
 * is it not excepted from that (may_resolve)? */
bool routing_may_proxy(const struct routing *r, const char *name);
bool routing_may_resolve(const struct routing *r, const char *name);

/* Some way has a proxy at this place. */
bool routing_is_proxy(const struct routing *r, const char *host, uint16_t port);

#endif
