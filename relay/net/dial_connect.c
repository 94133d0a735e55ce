/* The first steps of a dial: look the host up, and connect to one of its addresses. A program that
 * asked for an address gets that one only, as connect(2) would. */
#include "net/dial_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
        CONNECT_MS = 150000, /* Linux itself gives a SYN 67 to 130 s, and has the errno to tell */
};

static void not_connected(struct dial *d, const struct race_result *r)
{
        const char *host = d->hop != NULL ? d->hop->host : d->name != NULL ? d->name : r->address;
        unsigned port = d->hop != NULL ? d->hop->port : d->port;

        d->result.own = r->own;
        d->result.down = d->hop != NULL;
        if (r->own)
                dial_fail(d, DIAL_CONNECT, r->error, "%s port %u is this relay itself", host, port);
        else if (d->hop != NULL && r->error == ECONNRESET) /* a refusal would be ECONNREFUSED */
                dial_fail(d, DIAL_PROXY, r->error,
                          "the upstream proxy %s closed the connection before it was asked",
                          dial_shown(d));
        else
                dial_fail(d, DIAL_CONNECT, r->error, "%s %s port %u: %s",
                          d->hop != NULL ? "cannot reach the upstream proxy" : "cannot connect to",
                          host, port, strerror(r->error));
}

static void raced(void *ctx, struct race_result *r)
{
        struct dial *d = ctx;

        d->race = NULL;
        memcpy(d->tries, r->tries, r->try_count * sizeof *r->tries);
        d->result.try_count = r->try_count;
        snprintf(d->result.address, sizeof d->result.address, "%s", r->address);
        if (r->fd < 0)
                not_connected(d, r);
        else
                dial_connected(d, r->fd);
}

static void connect_any(struct dial *d)
{
        struct race_setup setup = {.addresses = d->addresses,
                                   .count = d->address_count,
                                   .manner = d->hop == NULL ? &d->manner : NULL,
                                   .is_own = d->is_own,
                                   .own_ctx = d->own_ctx,
                                   .at_once = d->at_once,
                                   .total_ms = d->connect_ms != 0 ? d->connect_ms : CONNECT_MS};

        uv_timer_stop(d->timer);
        d->race = race_new(d->loop, &setup, raced, d);
        if (d->race == NULL)
                dial_fail(d, DIAL_CONNECT, ENOMEM, "out of memory");
        else
                race_begin(d->race);
}

static void resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *list)
{
        struct dial *d = lookup->data;
        void (*found)(struct dial * d) = d->found;

        for (struct addrinfo *i = status == 0 ? list : NULL;
             i != NULL && d->address_count < RACE_MAX; i = i->ai_next)
                memcpy(&d->addresses[d->address_count++], i->ai_addr, i->ai_addrlen);
        uv_freeaddrinfo(list);
        d->found = NULL;
        if (!d->over && d->address_count == 0)
                dial_fail(d, DIAL_RESOLVE, EHOSTUNREACH, "the name %s cannot be resolved: %s",
                          d->sought, status < 0 ? uv_strerror(status) : "no address");
        else if (!d->over)
                found(d);
        dial_release(d);
}

void dial_resolve(struct dial *d, const char *host, uint16_t port, int family,
                  void (*found)(struct dial *d))
{
        struct addrinfo hints = {
                .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
        struct wire_addr literal;
        char service[8];
        int result;

        d->address_count = 0;
        if (address_from_literal(host, port, &literal) &&
            (family == AF_UNSPEC || family == literal.family)) {
                address_to_socket(&literal, &d->addresses[d->address_count++]);
                found(d);
                return;
        }
        snprintf(service, sizeof service, "%u", port);
        d->lookup.data = d;
        d->found = found;
        d->sought = host;
        d->handles++;
        result = uv_getaddrinfo(loop_uv(d->loop), &d->lookup, resolved, host, service, &hints);
        if (result < 0)
                resolved(&d->lookup, result, NULL);
}

void dial_connect(struct dial *d)
{
        if (d->target.family == 0 || d->hop != NULL)
                dial_limit(d, CONNECT_MS);
        if (d->hop != NULL) {
                dial_resolve(d, d->hop->host, d->hop->port, AF_UNSPEC, connect_any);
        } else if (d->target.family != 0) {
                d->address_count = 1;
                address_to_socket(&d->target, &d->addresses[0]);
                connect_any(d);
        } else {
                dial_resolve(d, d->name, d->port, AF_UNSPEC, connect_any);
        }
}
