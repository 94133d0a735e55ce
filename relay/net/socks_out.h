/* The client's messages of SOCKS4, SOCKS4a and SOCKS5 (RFC 1928, RFC 1929), and the replies to
 * them. Pure. */
#ifndef NET_SOCKS_OUT_H
#define NET_SOCKS_OUT_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <stddef.h>

enum { SOCKS_OUT_MAX = 600 };

/* Each writes a message to out, which holds SOCKS_OUT_MAX bytes, and returns its length; 0 when
 * what it is given does not fit the protocol. */
size_t socks_out_greeting(unsigned char *out, bool login);
size_t socks_out_login(unsigned char *out, const char *user, const char *password);
/* name, or address where name is NULL. */
size_t socks_out_request5(unsigned char *out, const char *name, const struct wire_addr *address,
                          uint16_t port);
size_t socks_out_request4(unsigned char *out, const char *name, const struct wire_addr *address,
                          uint16_t port, const char *user);

/* Reply codes: SOCKS5 has 0 to 8, SOCKS4's are turned into these. */
enum { SOCKS_OUT_OK = 0, SOCKS_OUT_FAILED = 1, SOCKS_OUT_LOGIN_REFUSED = 256 };

/* Read the reply at the start of data. Returns its length, 0 when more has to come, -1 when it is
 * none. *code is known from the moment a failure is certain, whether all of it has come or not. */
int socks_out_method(const unsigned char *data, size_t len, int *method); /* 0xff: none of ours */
int socks_out_login_reply(const unsigned char *data, size_t len, int *code);
int socks_out_reply5(const unsigned char *data, size_t len, int *code);
int socks_out_reply4(const unsigned char *data, size_t len, int *code);

/* What a code means, as an errno and as words. */
int socks_out_errno(int code);
const char *socks_out_words(int code);

#endif
