/* getaddrinfo(3): the real call, its answer unchanged, and a message that tells the relay which
 * name belongs to which addresses. */
#include "config.h"
#include "control.h"
#include "real.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

enum { ADDRESSES_MAX = 32 };

struct lookup_packet {
        struct wire_lookup lookup;
        char rest[NI_MAXHOST + ADDRESSES_MAX * sizeof(struct wire_addr)];
};

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

/* Pack the distinct addresses of a list behind the name. Returns the bytes used. */
static size_t pack_addresses(const struct addrinfo *list, char *at, uint16_t *count)
{
        struct wire_addr address;
        char *start = at;

        for (; list != NULL && *count < ADDRESSES_MAX; list = list->ai_next) {
                bool seen = false;

                if (!copy_address(list, &address))
                        continue;
                for (char *p = start; p < at && !seen; p += sizeof address)
                        seen = memcmp(p, &address, sizeof address) == 0;
                if (seen)
                        continue;
                memcpy(at, &address, sizeof address);
                at += sizeof address;
                ++*count;
        }
        return (size_t)(at - start);
}

static void report(const char *name, const struct addrinfo *list, int result, int error, long us)
{
        struct lookup_packet packet;
        size_t len = strnlen(name, NI_MAXHOST - 1);

        memset(&packet.lookup, 0, sizeof packet.lookup);
        packet.lookup.result = result;
        packet.lookup.error = result == EAI_SYSTEM ? error : 0;
        packet.lookup.duration_us = (uint32_t)us;
        packet.lookup.name_len = (uint16_t)len;
        memcpy(packet.rest, name, len);
        len += pack_addresses(list, packet.rest + len,
                              &packet.lookup.address_count);
        control_report(WIRE_LOOKUP, &packet.lookup.head, offsetof(struct lookup_packet, rest) + len);
}

/* An address literal is no lookup: nothing is asked of anybody. */
static bool is_literal(const char *name, const struct addrinfo *hints)
{
        return strchr(name, ':') != NULL || name[strspn(name, "0123456789.")] == '\0' ||
               (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0);
}

EXPORT int getaddrinfo(const char *restrict name, const char *restrict service,
                       const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
        struct timespec start, end;
        int result, saved;

        if (!config.ready || name == NULL || is_literal(name, hints))
                return REAL(getaddrinfo)(name, service, hints, list);
        clock_gettime(CLOCK_MONOTONIC, &start);
        result = REAL(getaddrinfo)(name, service, hints, list);
        saved = errno;
        clock_gettime(CLOCK_MONOTONIC, &end);
        report(name, result == 0 ? *list : NULL, result, saved,
               (end.tv_sec - start.tv_sec) * 1000000 + (end.tv_nsec - start.tv_nsec) / 1000);
        errno = saved;
        return result;
}
