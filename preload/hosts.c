/* The gethostbyname(3) family: as getaddrinfo(3) in addrinfo.c. An answer that stands for a name is
 * written by us, since the real call would name the host by its address. */
#include "config.h"
#include "lookup.h"
#include "real.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static void add_host(struct lookup_packet *packet, const struct hostent *host)
{
        struct wire_addr address = {.family = AF_UNSPEC};

        if (host == NULL || host->h_length > (int)sizeof address.bytes)
                return;
        address.family = (uint16_t)host->h_addrtype;
        for (char **at = host->h_addr_list; *at != NULL; at++) {
                memcpy(address.bytes, *at, (size_t)host->h_length);
                lookup_add(packet, &address);
        }
}

/* The other family's errors, told as getaddrinfo's. */
static int eai_of(int error)
{
        switch (error) {
        case HOST_NOT_FOUND:
                return EAI_NONAME;
        case TRY_AGAIN:
                return EAI_AGAIN;
        case NO_DATA:
                return EAI_NODATA;
        case NETDB_INTERNAL:
                return EAI_SYSTEM;
        default:
                return EAI_FAIL;
        }
}

static void report_host(const char *name, const struct hostent *host, int host_error,
                        int64_t start_us)
{
        struct lookup_packet packet;
        int saved = errno;

        lookup_begin(&packet, name);
        add_host(&packet, host);
        lookup_report(&packet, host != NULL ? 0 : eai_of(host_error), saved, start_us);
        errno = saved;
}

/* ---- an answer of ours ---- */

struct image {
        char *aliases, *list[2]; /* NULL-terminated arrays */
        char address[sizeof(struct in6_addr)];
        char name[];
};

/* Write it into buffer, as the _r functions do. Returns 0, or ERANGE if it does not fit. */
static int build(const char *name, const struct wire_addr *address, struct hostent *own,
                 char *buffer, size_t cap)
{
        size_t skip = -(uintptr_t)buffer % _Alignof(struct image), name_size = strlen(name) + 1;
        struct image *image = (void *)(buffer + skip);

        if (cap < skip || cap - skip < sizeof *image + name_size)
                return ERANGE;
        image->aliases = image->list[1] = NULL;
        image->list[0] = image->address;
        memcpy(image->address, address->bytes, sizeof image->address);
        memcpy(image->name, name, name_size);
        *own = (struct hostent){.h_name = image->name,
                                .h_aliases = &image->aliases,
                                .h_addrtype = address->family,
                                .h_length = address->family == AF_INET ? 4 : 16,
                                .h_addr_list = image->list};
        return 0;
}

static int build_r(const char *name, const struct wire_addr *address, struct hostent *own,
                   char *buffer, size_t cap, struct hostent **host, int *host_error)
{
        int result = build(name, address, own, buffer, cap);

        *host = result == 0 ? own : NULL;
        *host_error = result == 0 ? NETDB_SUCCESS : NETDB_INTERNAL;
        if (result != 0)
                errno = result;
        return result;
}

/* For those that return what the next call may overwrite (gethostbyname(3)). */
static struct hostent *build_static(const char *name, const struct wire_addr *address)
{
        static _Alignas(struct image) char buffer[sizeof(struct image) + NI_MAXHOST];
        static struct hostent own;

        return build(name, address, &own, buffer, sizeof buffer) == 0 ? &own : NULL;
}

/* Is nobody here to be asked, and has the relay an address? */
static bool is_remote(const char *name, int family, struct wire_addr *address)
{
        return config.resolve == RESOLVE_REMOTE && lookup_made_up(name, family, address);
}

/* Does nobody here know the name, and has the relay an address? */
static bool is_known_further_on(const char *name, int family, const struct hostent *host,
                                int host_error, struct wire_addr *address)
{
        return config.resolve == RESOLVE_AUTO && host == NULL &&
               lookup_is_unknown(eai_of(host_error)) && lookup_made_up(name, family, address);
}

/* ---- the calls ---- */

EXPORT struct hostent *gethostbyname(const char *name)
{
        int64_t start_us = lookup_now_us();
        struct wire_addr address;
        struct hostent *host;

        if (!lookup_is_one(name))
                /* cppcheck-suppress CastIntegerToAddressAtReturn; it does not see the type */
                return REAL(gethostbyname)(name);
        if (is_remote(name, AF_INET, &address)) {
                host = build_static(name, &address);
        } else {
                host = REAL(gethostbyname)(name);
                if (is_known_further_on(name, AF_INET, host, h_errno, &address))
                        host = build_static(name, &address);
        }
        report_host(name, host, h_errno, start_us);
        return host;
}

EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
        int64_t start_us = lookup_now_us();
        struct wire_addr address;
        struct hostent *host;

        if (!lookup_is_one(name))
                return REAL(gethostbyname2)(name, family);
        if (is_remote(name, family, &address)) {
                host = build_static(name, &address);
        } else {
                host = REAL(gethostbyname2)(name, family);
                if (is_known_further_on(name, family, host, h_errno, &address))
                        host = build_static(name, &address);
        }
        report_host(name, host, h_errno, start_us);
        return host;
}

/* ERANGE asks for a larger buffer: the answer comes with the next call. */
EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict own,
                           char *restrict buffer, size_t cap, struct hostent **restrict host,
                           int *restrict host_error)
{
        int64_t start_us = lookup_now_us();
        struct wire_addr address;
        int result;

        if (!lookup_is_one(name))
                return REAL(gethostbyname_r)(name, own, buffer, cap, host, host_error);
        if (is_remote(name, AF_INET, &address)) {
                result = build_r(name, &address, own, buffer, cap, host, host_error);
        } else {
                result = REAL(gethostbyname_r)(name, own, buffer, cap, host, host_error);
                if (result != ERANGE &&
                    is_known_further_on(name, AF_INET, *host, *host_error, &address))
                        result = build_r(name, &address, own, buffer, cap, host, host_error);
        }
        if (result != ERANGE)
                report_host(name, *host, *host_error, start_us);
        return result;
}

EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict own,
                            char *restrict buffer, size_t cap, struct hostent **restrict host,
                            int *restrict host_error)
{
        int64_t start_us = lookup_now_us();
        struct wire_addr address;
        int result;

        if (!lookup_is_one(name))
                return REAL(gethostbyname2_r)(name, family, own, buffer, cap, host, host_error);
        if (is_remote(name, family, &address)) {
                result = build_r(name, &address, own, buffer, cap, host, host_error);
        } else {
                result = REAL(gethostbyname2_r)(name, family, own, buffer, cap, host, host_error);
                if (result != ERANGE &&
                    is_known_further_on(name, family, *host, *host_error, &address))
                        result = build_r(name, &address, own, buffer, cap, host, host_error);
        }
        if (result != ERANGE)
                report_host(name, *host, *host_error, start_us);
        return result;
}
