/* Which way out: the upstream's URL, and lists of hosts (no_proxy, bypass) with curl's syntax.
 * Pure. */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An HTTP proxy that CONNECTs for us (RFC 9110 section 9.3.6). */
struct upstream {
        char *host; /* owned; a name or an address literal without brackets */
        uint16_t port;
        char *credentials; /* owned; "user:password" decoded, or NULL. Never recorded. */
        char *shown;       /* owned; the URL as it may be shown */
};

/* Parse URL into *out: http://[user:password@]host[:port][/]; "direct" gives *out NULL. Without a
 * scheme, http is meant, as curl has it. Returns 0, or -EINVAL with a reason in *why (static). */
int upstream_parse(const char *url, struct upstream **out, const char **why);
void upstream_free(struct upstream *up);

/* "Basic ..." for "user:password" (RFC 7617); owned by the caller. NULL when out of memory. */
char *upstream_basic(const char *credentials);

/* The head of a CONNECT request for host (a name or a literal without brackets) to up, with its own
 * credentials or else authorization (a whole field value, may be NULL). *credentials tells whether
 * any are in it. Owned by the caller, who wipes it. NULL when out of memory. */
char *upstream_request(const struct upstream *up, const char *host, uint16_t port,
                       const char *authorization, bool *credentials);

/* A parsed list: names, suffixes (".example", "example"), addresses, CIDR blocks, each with an
 * optional :port; "*" matches all. Separated by commas or blanks. */
struct host_list;

/* Returns NULL with errno (EINVAL with the bad item in *bad, owned by the caller). */
struct host_list *host_list_parse(const char *text, char **bad);
void host_list_free(struct host_list *list);

/* name or address may be NULL; address is a literal. NULL list matches nothing. */
bool host_list_match(const struct host_list *list, const char *name, const char *address,
                     uint16_t port);

#endif
