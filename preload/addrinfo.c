/* getaddrinfo(3): the real call, its answer unchanged, and a message that tells the relay which
 * name belongs to which addresses. A name that is not known here may be known further on: then the
 * answer is an address that stands for it. */
#include "config.h"
#include "lookup.h"
#include "real.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static bool copy_address(const struct addrinfo *info, struct wire_addr *out)
{
        const struct sockaddr_in *v4 = (const void *)info->ai_addr;
        const struct sockaddr_in6 *v6 = (const void *)info->ai_addr;

        memset(out, 0, sizeof *out);
        out->family = (uint16_t)info->ai_family;
        if (info->ai_family == AF_INET)
                memcpy(out->bytes, &v4->sin_addr, 4);
        else if (info->ai_family == AF_INET6)
                memcpy(out->bytes, &v6->sin6_addr, 16);
        else
                return false;
        return true;
}

static void add_list(struct lookup_packet *packet, const struct addrinfo *list)
{
        struct wire_addr address;

        for (; list != NULL; list = list->ai_next)
                if (copy_address(list, &address))
                        lookup_add(packet, &address);
}

/* The same as a literal. */
static bool made_up(const char *name, int family, char literal[INET6_ADDRSTRLEN])
{
        struct wire_addr address;

        return lookup_made_up(name, family, &address) &&
               inet_ntop(address.family, address.bytes, literal, INET6_ADDRSTRLEN) != NULL;
}

/* With the relay's help, if it has some. A literal goes through the real call too, so that what
 * freeaddrinfo(3) gets is libc's own. */
EXPORT int getaddrinfo(const char *restrict name, const char *restrict service,
                       const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
        int family = hints != NULL ? hints->ai_family : AF_UNSPEC, result, saved;
        char literal[INET6_ADDRSTRLEN];
        struct lookup_packet packet;
        int64_t start_us;
        bool asked;

        if (!lookup_is_one(name) || (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0))
                return REAL(getaddrinfo)(name, service, hints, list);
        start_us = lookup_now_us();
        asked = config.resolve == RESOLVE_REMOTE && made_up(name, family, literal);
        result = REAL(getaddrinfo)(asked ? literal : name, service, hints, list);
        saved = errno;
        if (config.resolve == RESOLVE_AUTO && lookup_is_unknown(result) &&
            made_up(name, family, literal)) {
                result = REAL(getaddrinfo)(literal, service, hints, list);
                saved = errno;
        }
        lookup_begin(&packet, name);
        add_list(&packet, result == 0 ? *list : NULL);
        lookup_report(&packet, result, saved, start_us);
        errno = saved;
        return result;
}
