/* Ways out: a list of choices, each a chain of proxies; which of them are healthy. Pure but for the
 * health, which all threads share. */
#ifndef NET_UPSTREAM_H
#define NET_UPSTREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hop_scheme {
        HOP_HTTP,    /* CONNECT (RFC 9110 section 9.3.6) */
        HOP_HTTPS,   /* the same inside TLS to the proxy */
        HOP_SOCKS4,  /* by IPv4 address */
        HOP_SOCKS4A, /* by name */
        HOP_SOCKS5,  /* RFC 1928, by address */
        HOP_SOCKS5H, /* by name */
};

struct auth_memory;

/* One proxy. */
struct hop {
        struct hop *next; /* owned: the proxy that is reached through this one, or NULL */
        enum hop_scheme scheme;
        char *host; /* owned; a name or an address literal without brackets */
        uint16_t port;
        char *credentials;          /* owned; "user:password" decoded, or NULL. Never recorded. */
        char *shown;                /* owned; the URL as it may be shown */
        SSL_CTX *tls;               /* owned reference, HOP_HTTPS only: upstream_set_tls() */
        struct auth_memory *memory; /* owned: what it wanted last time (auth.h) */
};

struct upstream_health;

/* One choice: a chain of proxies, or none, which is the direct way. */
struct upstream {
        struct upstream *next;          /* owned: what is taken when this one is down, or NULL */
        struct hop *hops;               /* owned; NULL: direct */
        char *shown;                    /* owned; its URLs, as they may be shown */
        struct upstream_health *health; /* owned */
        unsigned number;                /* its place in the list, from 0 */
};

enum { UPSTREAM_CHOICES_MAX = 32, UPSTREAM_HOPS_MAX = 8 };

/* Parse "URL,URL|URL|direct" into *out: choices are separated by "|", the proxies of a chain, the
 * first one first, by ",". A URL is SCHEME://[user[:password]@]host[:port][/]. Without a scheme,
 * http is meant, and without a port 1080 (443 for https), as curl has it. The word "direct" alone
 * gives *out NULL. Returns 0, or -EINVAL with a reason in *why (static), or -ENOMEM. */
int upstream_parse(const char *text, struct upstream **out, const char **why);
void upstream_free(struct upstream *list);

/* Give every https proxy of the list this context (a reference each). NULL list allowed. */
void upstream_set_tls(struct upstream *list, SSL_CTX *tls);
/* True if a proxy of the list needs one. */
bool upstream_needs_tls(const struct upstream *list);

/* NULL is direct too. */
bool upstream_is_direct(const struct upstream *up);
/* The last proxy of the chain; NULL: direct. */
const struct hop *upstream_last(const struct upstream *up);
/* The proxy that takes http:// requests in absolute form: the last, if it speaks HTTP; else NULL.
 */
const struct hop *upstream_http(const struct upstream *up);
/* The proxy at the end of the chain looks names up (all but socks4 and socks5). */
bool upstream_resolves(const struct upstream *up);
/* The list has a proxy at this place, be it a name or a literal. */
bool upstream_has(const struct upstream *list, const char *host, uint16_t port);

bool hop_is_http(const struct hop *hop);

/* The first healthy choice that is not in tried (a set of bits by number); if there is none, the
 * untried one whose time to be tried again is nearest; NULL when all were tried. now_ms is of the
 * monotonic clock. */
const struct upstream *upstream_pick(const struct upstream *list, uint32_t tried, int64_t now_ms);

/* It failed, or it works. upstream_down returns for how long it is left out, in ms; it doubles from
 * 1 s to 5 min with each failure in a row, and is not to be called while it is down: connections
 * that fail together count once. upstream_up returns true if it was down before. A single
 * choice is never left out: returns 0 and false. */
int64_t upstream_down(const struct upstream *up, int64_t now_ms);
bool upstream_up(const struct upstream *up);
bool upstream_is_down(const struct upstream *up, int64_t now_ms);

/* "Basic ..." for "user:password" (RFC 7617); owned by the caller, who wipes it. NULL when out of
 * memory. */
char *upstream_basic(const char *credentials);

/* free() after overwriting; NULL allowed. */
void wipe_free(char *secret);

#endif
