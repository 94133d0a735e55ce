/* SOCKS messages; see socks_out.h. */
#include "net/socks_out.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum {
        V4 = 4,
        V5 = 5,
        COMMAND_CONNECT = 1,
        ATYP_V4 = 1,
        ATYP_NAME = 3,
        ATYP_V6 = 4,
        METHOD_NONE = 0,
        METHOD_LOGIN = 2,
        LOGIN_VERSION = 1,
        V4_GRANTED = 90,
};

size_t socks_out_greeting(unsigned char *out, bool login)
{
        out[0] = V5;
        out[1] = login ? 2 : 1;
        out[2] = METHOD_NONE;
        out[3] = METHOD_LOGIN;
        return login ? 4 : 3;
}

static unsigned char *put(unsigned char *to, const void *data, size_t len)
{
        memcpy(to, data, len);
        return to + len;
}

static unsigned char *put_counted(unsigned char *to, const char *text)
{
        *to++ = (unsigned char)strlen(text);
        return put(to, text, strlen(text));
}

static unsigned char *put_port(unsigned char *to, uint16_t port)
{
        *to++ = (unsigned char)(port >> 8);
        *to++ = (unsigned char)port;
        return to;
}

/* RFC 1929: lengths from 1 to 255. */
size_t socks_out_login(unsigned char *out, const char *user, const char *password)
{
        unsigned char *to = out;

        if (*user == '\0' || strlen(user) > 255 || *password == '\0' || strlen(password) > 255)
                return 0;
        *to++ = LOGIN_VERSION;
        to = put_counted(to, user);
        return (size_t)(put_counted(to, password) - out);
}

size_t socks_out_request5(unsigned char *out, const char *name, const struct wire_addr *address,
                          uint16_t port)
{
        unsigned char *to = put(out, (unsigned char[]){V5, COMMAND_CONNECT, 0}, 3);

        if (name != NULL) {
                if (*name == '\0' || strlen(name) > 255)
                        return 0;
                *to++ = ATYP_NAME;
                to = put_counted(to, name);
        } else {
                *to++ = address->family == AF_INET ? ATYP_V4 : ATYP_V6;
                to = put(to, address->bytes, address->family == AF_INET ? 4 : 16);
        }
        return (size_t)(put_port(to, port) - out);
}

size_t socks_out_request4(unsigned char *out, const char *name, const struct wire_addr *address,
                          uint16_t port, const char *user)
{
        static const unsigned char by_name[4] = {0, 0, 0, 1}; /* an address that cannot be */
        unsigned char *to = put(out, (unsigned char[]){V4, COMMAND_CONNECT}, 2);

        if (strlen(user) > 255 || (name != NULL && (*name == '\0' || strlen(name) > 255)) ||
            (name == NULL && address->family != AF_INET))
                return 0;
        to = put_port(to, port);
        to = put(to, name != NULL ? by_name : address->bytes, 4);
        to = put(to, user, strlen(user) + 1);
        if (name != NULL)
                to = put(to, name, strlen(name) + 1);
        return (size_t)(to - out);
}

int socks_out_method(const unsigned char *data, size_t len, int *method)
{
        if (len > 0 && data[0] != V5)
                return -1;
        if (len < 2)
                return 0;
        *method = data[1];
        return 2;
}

int socks_out_login_reply(const unsigned char *data, size_t len, int *code)
{
        if (len > 0 && data[0] != LOGIN_VERSION)
                return -1;
        if (len < 2)
                return 0;
        *code = data[1] == 0 ? SOCKS_OUT_OK : SOCKS_OUT_LOGIN_REFUSED;
        return 2;
}

/* The bound address is read to its exact length: what follows belongs to the tunnel. */
int socks_out_reply5(const unsigned char *data, size_t len, int *code)
{
        size_t want;

        if (len > 0 && data[0] != V5)
                return -1;
        if (len >= 2)
                *code = data[1];
        if (len < 5)
                return 0;
        switch (data[3]) {
        case ATYP_V4:
                want = 4 + 4 + 2;
                break;
        case ATYP_V6:
                want = 4 + 16 + 2;
                break;
        case ATYP_NAME:
                want = 4 + 1 + (size_t)data[4] + 2;
                break;
        default:
                return -1;
        }
        return len < want ? 0 : (int)want;
}

int socks_out_reply4(const unsigned char *data, size_t len, int *code)
{
        if (len > 0 && data[0] != 0 && data[0] != V4)
                return -1;
        if (len >= 2)
                *code = data[1] == V4_GRANTED            ? SOCKS_OUT_OK
                        : data[1] == 92 || data[1] == 93 ? SOCKS_OUT_LOGIN_REFUSED
                                                         : SOCKS_OUT_FAILED;
        return len < 8 ? 0 : 8;
}

int socks_out_errno(int code)
{
        switch (code) {
        case 3:
                return ENETUNREACH;
        case SOCKS_OUT_FAILED:
        case 4:
                return EHOSTUNREACH;
        case 6:
                return ETIMEDOUT;
        default:
                return ECONNREFUSED;
        }
}

const char *socks_out_words(int code)
{
        static const char *const words[] = {
                "it agreed",
                "general failure",
                "not allowed by its rules",
                "network unreachable",
                "host unreachable",
                "connection refused",
                "time to live expired",
                "command not supported",
                "kind of address not supported",
        };

        if (code == SOCKS_OUT_LOGIN_REFUSED)
                return "it does not accept the user or the password";
        return code >= 0 && code < (int)(sizeof words / sizeof *words) ? words[code]
                                                                       : "unknown reason";
}
