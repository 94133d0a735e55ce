/* getaddrinfo(3) and the gethostbyname(3) family: the real call, its answer unchanged, and a
 * message that tells the relay which name belongs to which addresses. */
#include "config.h"
#include "control.h"
#include "real.h"

#include <arpa/inet.h>
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

/* Add an address behind those that are there, unless it is one of them. */
static void add_address(struct lookup_packet *packet, const struct wire_addr *address)
{
        char *start = packet->rest + packet->lookup.name_len, *at = start;
        size_t count = packet->lookup.address_count;

        for (size_t i = 0; i < count; i++, at += sizeof *address)
                if (memcmp(at, address, sizeof *address) == 0)
                        return;
        if (count == ADDRESSES_MAX)
                return;
        memcpy(at, address, sizeof *address);
        packet->lookup.address_count++;
}

static void add_list(struct lookup_packet *packet, const struct addrinfo *list)
{
        struct wire_addr address;

        for (; list != NULL; list = list->ai_next)
                if (copy_address(list, &address))
                        add_address(packet, &address);
}

static void add_host(struct lookup_packet *packet, const struct hostent *host)
{
        struct wire_addr address = {.family = AF_UNSPEC};

        if (host == NULL || host->h_length > (int)sizeof address.bytes)
                return;
        address.family = (uint16_t)host->h_addrtype;
        for (char **at = host->h_addr_list; *at != NULL; at++) {
                memcpy(address.bytes, *at, (size_t)host->h_length);
                add_address(packet, &address);
        }
}

static void begin(struct lookup_packet *packet, const char *name)
{
        memset(&packet->lookup, 0, sizeof packet->lookup);
        packet->lookup.name_len = (uint16_t)strnlen(name, NI_MAXHOST - 1);
        memcpy(packet->rest, name, packet->lookup.name_len);
}

static int64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void report(struct lookup_packet *packet, int result, int error, int64_t start_us)
{
        size_t rest_len =
                packet->lookup.name_len + packet->lookup.address_count * sizeof(struct wire_addr);

        packet->lookup.result = result;
        packet->lookup.error = result == EAI_SYSTEM ? error : 0;
        packet->lookup.duration_us = (uint32_t)(now_us() - start_us);
        control_report(WIRE_LOOKUP, &packet->lookup.head,
                       offsetof(struct lookup_packet, rest) + rest_len);
}

/* An address literal is no lookup: nothing is asked of anybody. */
static bool is_literal(const char *name)
{
        return strchr(name, ':') != NULL || name[strspn(name, "0123456789.")] == '\0';
}

static bool is_lookup(const char *name)
{
        return config.ready && name != NULL && !is_literal(name);
}

struct name_packet {
        struct wire_name name;
        char text[NI_MAXHOST];
};

/* Ask the relay for an address that stands for name: it will know where a connection to it is to
 * go. Writes the literal and returns true if there is one. */
static bool ask_relay(const char *name, int family, char literal[INET6_ADDRSTRLEN])
{
        struct name_packet packet = {.name = {.family = (uint16_t)family}};
        struct wire_verdict verdict = {.state = WIRE_STATE_UNKNOWN};
        int control = control_open(), result;

        if (control < 0)
                return false;
        packet.name.name_len = (uint16_t)strnlen(name, sizeof packet.text);
        memcpy(packet.text, name, packet.name.name_len);
        result = control_send(control, WIRE_NAME, &packet.name.head,
                              offsetof(struct name_packet, text) + packet.name.name_len);
        if (result == 0)
                result = control_verdict(control, &verdict, CONTROL_STALL_MS);
        control_close(control);
        return result == 0 && verdict.state == WIRE_STATE_OPEN &&
               inet_ntop(verdict.peer.family, verdict.peer.bytes, literal, INET6_ADDRSTRLEN) !=
                       NULL;
}

/* The name is not known here; somebody further on may know it. */
static bool is_unknown(int result)
{
        return result == EAI_NONAME || result == EAI_NODATA || result == EAI_AGAIN ||
               result == EAI_FAIL;
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

        if (!is_lookup(name) || (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0))
                return REAL(getaddrinfo)(name, service, hints, list);
        start_us = now_us();
        asked = config.resolve == RESOLVE_REMOTE && ask_relay(name, family, literal);
        result = REAL(getaddrinfo)(asked ? literal : name, service, hints, list);
        saved = errno;
        if (config.resolve == RESOLVE_AUTO && is_unknown(result) &&
            ask_relay(name, family, literal)) {
                result = REAL(getaddrinfo)(literal, service, hints, list);
                saved = errno;
        }
        begin(&packet, name);
        add_list(&packet, result == 0 ? *list : NULL);
        report(&packet, result, saved, start_us);
        errno = saved;
        return result;
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

        begin(&packet, name);
        add_host(&packet, host);
        report(&packet, host != NULL ? 0 : eai_of(host_error), saved, start_us);
        errno = saved;
}

EXPORT struct hostent *gethostbyname(const char *name)
{
        int64_t start_us = now_us();
        struct hostent *host = REAL(gethostbyname)(name);

        if (is_lookup(name))
                report_host(name, host, h_errno, start_us);
        return host;
}

EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
        int64_t start_us = now_us();
        struct hostent *host = REAL(gethostbyname2)(name, family);

        if (is_lookup(name))
                report_host(name, host, h_errno, start_us);
        return host;
}

/* ERANGE asks for a larger buffer: the answer comes with the next call. */
EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict own,
                           char *restrict buffer, size_t cap, struct hostent **restrict host,
                           int *restrict host_error)
{
        int64_t start_us = now_us();
        int result = REAL(gethostbyname_r)(name, own, buffer, cap, host, host_error);

        if (is_lookup(name) && result != ERANGE)
                report_host(name, *host, *host_error, start_us);
        return result;
}

EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict own,
                            char *restrict buffer, size_t cap, struct hostent **restrict host,
                            int *restrict host_error)
{
        int64_t start_us = now_us();
        int result = REAL(gethostbyname2_r)(name, family, own, buffer, cap, host, host_error);

        if (is_lookup(name) && result != ERANGE)
                report_host(name, *host, *host_error, start_us);
        return result;
}
