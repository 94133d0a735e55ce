/* What SOCKS clients say and are told: SOCKS4 and 4a (the protocol's memo), SOCKS5 (RFC 1928) and
 * its user and password (RFC 1929). Pure: bytes in, struct out. socks_flow.c does the talking. */
#ifndef NET_SOCKS_H
#define NET_SOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum socks_result {
        SOCKS_OK,
        SOCKS_MORE,    /* the end is not there yet */
        SOCKS_BAD,     /* malformed */
        SOCKS_ADDRESS, /* well formed, but of an address type that is not known */
};

enum socks_command { SOCKS_CONNECT = 1, SOCKS_BIND = 2, SOCKS_UDP = 3 };

/* REP of RFC 1928 section 6. */
enum socks_reply {
        SOCKS_SUCCEEDED = 0,
        SOCKS_FAILURE = 1,
        SOCKS_NOT_ALLOWED = 2,
        SOCKS_NET_UNREACHABLE = 3,
        SOCKS_HOST_UNREACHABLE = 4,
        SOCKS_REFUSED = 5,
        SOCKS_TTL_EXPIRED = 6,
        SOCKS_NO_COMMAND = 7,
        SOCKS_NO_ADDRESS = 8,
};

enum { SOCKS_REPLY_MAX = 10 }; /* bytes of the longest answer below */

struct socks_request {
        uint8_t command;
        char host[256]; /* a name in lower case, or a literal without brackets */
        uint16_t port;
        size_t len; /* bytes of the request */
};

struct socks_greeting {
        bool open, password; /* the methods offered that we know */
        size_t len;
};

/* Borrowed from data, not terminated. */
struct socks_login {
        const char *user, *password;
        size_t user_len, password_len;
        size_t len;
};

/* Parse one message from the start of data. Nothing beyond len is read. */
enum socks_result socks4_request(const char *data, size_t len, struct socks_request *out);
enum socks_result socks5_greeting(const char *data, size_t len, struct socks_greeting *out);
enum socks_result socks5_login(const char *data, size_t len, struct socks_login *out);
enum socks_result socks5_request(const char *data, size_t len, struct socks_request *out);

/* Write the answer to a request of version 4 or 5; returns its length. The bound address is all
 * zero: the relay may be several hops from the socket that has one. */
size_t socks_print_reply(unsigned version, enum socks_reply reply, char out[SOCKS_REPLY_MAX]);

/* The reply that says most nearly what connect(2) would have said. */
enum socks_reply socks_reply_of(int error);

#endif
