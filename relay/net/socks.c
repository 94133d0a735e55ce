/* SOCKS messages; see socks.h. */
#include "net/socks.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum {
        TYPE_V4 = 1,
        TYPE_NAME = 3,
        TYPE_V6 = 4,
        METHOD_OPEN = 0,
        METHOD_PASSWORD = 2,
        USER_MAX = 255, /* of SOCKS4: the memo has no limit */
};

static uint16_t port_at(const char *data)
{
        return (uint16_t)((uint8_t)data[0] << 8 | (uint8_t)data[1]);
}

/* What authority_parse() allows in a CONNECT: nothing that could end up as another line or field
 * further on. Some clients send an address literal as a name. */
static bool copy_name(const char *name, size_t len, char *out)
{
        if (len == 0 || len > 255)
                return false;
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)name[i];

                if (c == '\0' || (!isalnum(c) && c < 0x80 && strchr("-._~:", c) == NULL))
                        return false;
                out[i] = (char)tolower(c);
        }
        out[len] = '\0';
        return true;
}

/* A field that ends with a NUL: its length, or -1 when the end is not there within max. */
static long terminated(const char *data, size_t len, size_t max)
{
        size_t look = len < max + 1 ? len : max + 1;
        const char *end = look > 0 ? memchr(data, '\0', look) : NULL;

        return end != NULL ? (long)(end - data) : -1;
}

/* VN CD DSTPORT DSTIP USERID NUL; 4a: DSTIP is 0.0.0.x with x not 0, and a name follows. */
enum socks_result socks4_request(const char *data, size_t len, struct socks_request *out)
{
        struct in_addr address;
        long user, name;

        if (len < 8)
                return SOCKS_MORE;
        out->command = (uint8_t)data[1];
        out->port = port_at(data + 2);
        user = terminated(data + 8, len - 8, USER_MAX);
        if (user < 0)
                return len - 8 > USER_MAX ? SOCKS_BAD : SOCKS_MORE;
        out->len = 8 + (size_t)user + 1;
        memcpy(&address, data + 4, sizeof address);
        if (ntohl(address.s_addr) > 255 || address.s_addr == 0) {
                inet_ntop(AF_INET, &address, out->host, sizeof out->host);
                return out->port != 0 ? SOCKS_OK : SOCKS_BAD;
        }
        name = terminated(data + out->len, len - out->len, 255);
        if (name < 0)
                return len - out->len > 255 ? SOCKS_BAD : SOCKS_MORE;
        if (!copy_name(data + out->len, (size_t)name, out->host) || out->port == 0)
                return SOCKS_BAD;
        out->len += (size_t)name + 1;
        return SOCKS_OK;
}

/* VER NMETHODS METHODS */
enum socks_result socks5_greeting(const char *data, size_t len, struct socks_greeting *out)
{
        size_t count;

        if (len < 2)
                return SOCKS_MORE;
        count = (uint8_t)data[1];
        if (count == 0)
                return SOCKS_BAD;
        if (len < 2 + count)
                return SOCKS_MORE;
        out->open = memchr(data + 2, METHOD_OPEN, count) != NULL;
        out->password = memchr(data + 2, METHOD_PASSWORD, count) != NULL;
        out->len = 2 + count;
        return SOCKS_OK;
}

/* VER(1) ULEN UNAME PLEN PASSWD. RFC 1929 wants lengths of 1 to 255; an empty password is sent all
 * the same, and is for the comparison to refuse. */
enum socks_result socks5_login(const char *data, size_t len, struct socks_login *out)
{
        if (len > 0 && data[0] != 1)
                return SOCKS_BAD;
        if (len < 2)
                return SOCKS_MORE;
        out->user_len = (uint8_t)data[1];
        if (len < 3 + out->user_len)
                return SOCKS_MORE;
        out->password_len = (uint8_t)data[2 + out->user_len];
        out->len = 3 + out->user_len + out->password_len;
        if (len < out->len)
                return SOCKS_MORE;
        out->user = data + 2;
        out->password = data + 3 + out->user_len;
        return SOCKS_OK;
}

/* The address's bytes behind ATYP, without the port; 0: the type is not known. */
static size_t address_len(uint8_t type, uint8_t first)
{
        switch (type) {
        case TYPE_V4:
                return 4;
        case TYPE_V6:
                return 16;
        case TYPE_NAME:
                return 1 + (size_t)first;
        default:
                return 0;
        }
}

/* VER CMD RSV ATYP DST.ADDR DST.PORT */
enum socks_result socks5_request(const char *data, size_t len, struct socks_request *out)
{
        size_t address;

        if (len > 0 && data[0] != 5)
                return SOCKS_BAD;
        if (len < 5)
                return SOCKS_MORE;
        out->command = (uint8_t)data[1];
        address = address_len((uint8_t)data[3], (uint8_t)data[4]);
        if (address == 0)
                return SOCKS_ADDRESS;
        if (len < 4 + address + 2)
                return SOCKS_MORE;
        out->len = 4 + address + 2;
        out->port = port_at(data + 4 + address);
        if (data[3] == TYPE_V4)
                inet_ntop(AF_INET, data + 4, out->host, sizeof out->host);
        else if (data[3] == TYPE_V6)
                inet_ntop(AF_INET6, data + 4, out->host, sizeof out->host);
        else if (!copy_name(data + 5, address - 1, out->host))
                return SOCKS_BAD;
        /* BIND and UDP may come with zeroes (RFC 1928 section 6), and are refused for what they
         * are. */
        return out->port != 0 || out->command != SOCKS_CONNECT ? SOCKS_OK : SOCKS_BAD;
}

size_t socks_print_reply(unsigned version, enum socks_reply reply, char out[SOCKS_REPLY_MAX])
{
        memset(out, 0, SOCKS_REPLY_MAX);
        if (version == 4) {
                out[1] = reply == SOCKS_SUCCEEDED ? 90 : 91;
                return 8;
        }
        out[0] = 5;
        out[1] = (char)reply;
        out[3] = TYPE_V4;
        return 10;
}

enum socks_reply socks_reply_of(int error)
{
        switch (error) {
        case 0:
                return SOCKS_SUCCEEDED;
        case ECONNREFUSED:
                return SOCKS_REFUSED;
        case ENETUNREACH:
        case ENETDOWN:
        case EAFNOSUPPORT:
        case EADDRNOTAVAIL:
                return SOCKS_NET_UNREACHABLE;
        case EHOSTUNREACH:
        case EHOSTDOWN:
                return SOCKS_HOST_UNREACHABLE;
        case ETIMEDOUT:
                return SOCKS_TTL_EXPIRED;
        case EACCES:
        case EPERM:
                return SOCKS_NOT_ALLOWED;
        default:
                return SOCKS_FAILURE;
        }
}
