/* Addresses between their forms; see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

socklen_t address_to_socket(const struct wire_addr *from, struct sockaddr_storage *out)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)out;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

        memset(out, 0, sizeof *out);
        out->ss_family = from->family;
        if (from->family == AF_INET) {
                v4->sin_port = htons(from->port);
                memcpy(&v4->sin_addr, from->bytes, 4);
                return sizeof *v4;
        }
        v6->sin6_port = htons(from->port);
        v6->sin6_scope_id = from->scope_id;
        memcpy(&v6->sin6_addr, from->bytes, 16);
        return sizeof *v6;
}

void address_from_socket(const struct sockaddr *from, struct wire_addr *out)
{
        const struct sockaddr_in *v4 = (const void *)from;
        const struct sockaddr_in6 *v6 = (const void *)from;

        memset(out, 0, sizeof *out);
        out->family = from->sa_family;
        if (from->sa_family == AF_INET) {
                out->port = ntohs(v4->sin_port);
                memcpy(out->bytes, &v4->sin_addr, 4);
                return;
        }
        out->port = ntohs(v6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
                out->family = AF_INET;
                memcpy(out->bytes, v6->sin6_addr.s6_addr + 12, 4);
        } else {
                memcpy(out->bytes, &v6->sin6_addr, 16);
                out->scope_id = v6->sin6_scope_id;
        }
}

bool address_from_literal(const char *text, uint16_t port, struct wire_addr *out)
{
        memset(out, 0, sizeof *out);
        out->port = port;
        out->family = inet_pton(AF_INET, text, out->bytes) == 1    ? AF_INET
                      : inet_pton(AF_INET6, text, out->bytes) == 1 ? AF_INET6
                                                                   : 0;
        return out->family != 0;
}

/* inet_ntop(3) of the C library goes through sprintf(3) for these four numbers, and every
 * connection asks a few times. */
static void write_v4(const uint8_t bytes[4], char *out)
{
        for (int i = 0; i < 4; i++) {
                unsigned value = bytes[i];

                if (value >= 100)
                        *out++ = (char)('0' + value / 100);
                if (value >= 10)
                        *out++ = (char)('0' + value / 10 % 10);
                *out++ = (char)('0' + value % 10);
                *out++ = i < 3 ? '.' : '\0';
        }
}

void address_literal(const struct wire_addr *from, char *out)
{
        if (from->family == AF_INET) {
                write_v4(from->bytes, out);
                return;
        }
        if (inet_ntop(from->family, from->bytes, out, 64) == NULL)
                out[0] = '\0';
}
