/* The TLS tap: SSL_read(3), SSL_write(3) and their _ex forms. A copy of what begins an HTTP/1 head
 * goes to the relay; everything else passes without a look beyond its first bytes. */
#include "caller.h"
#include "config.h"
#include "control.h"
#include "real.h"
#include "socket.h"

#include <errno.h>
#include <string.h>

/* OpenSSL's types, by their names in its headers; we have none of those here. */
typedef struct ssl_st SSL;

int SSL_get_fd(const SSL *ssl);

EXPORT int SSL_read(SSL *ssl, void *data, int len);
EXPORT int SSL_write(SSL *ssl, const void *data, int len);
EXPORT int SSL_read_ex(SSL *ssl, void *data, size_t len, size_t *done);
EXPORT int SSL_write_ex(SSL *ssl, const void *data, size_t len, size_t *done);

enum { HEAD_MAX = 16384 };

static bool starts(const char *data, size_t len, const char *token)
{
        size_t n = strlen(token);

        return len >= n && memcmp(data, token, n) == 0;
}

static bool begins_request(const char *data, size_t len)
{
        static const char *const methods[] = {"GET ",    "HEAD ",  "POST ",   "PUT ",
                                              "DELETE ", "PATCH ", "OPTIONS "};

        if (len < 16)
                return false;
        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
                if (starts(data, len, methods[i]))
                        return true;
        return false;
}

static bool begins_response(const char *data, size_t len)
{
        return len >= 12 && starts(data, len, "HTTP/1.");
}

/* The head and what fits behind it: the relay wants no bodies, only where the head ends. */
static size_t head_len(const char *data, size_t len)
{
        const char *end = memmem(data, len < HEAD_MAX ? len : HEAD_MAX, "\r\n\r\n", 4);

        return end != NULL ? (size_t)(end - data) + 4 : len < HEAD_MAX ? len : HEAD_MAX;
}

static void tap(SSL *ssl, void *caller, const char *data, size_t len, bool from_server)
{
        struct wire_tap message = {.from_server = from_server, .total_len = (uint32_t)len};
        __typeof__(&SSL_get_fd) get_fd = CALLER_REAL(caller, SSL_get_fd);
        int saved = errno, fd = get_fd != NULL ? get_fd(ssl) : -1;

        message.tls = (uintptr_t)ssl;
        if (fd >= 0 && socket_local(fd, &message.local))
                message.cookie = socket_cookie(fd);
        control_report2(WIRE_TAP, &message.head, sizeof message, data, head_len(data, len));
        errno = saved;
}

EXPORT int SSL_read(SSL *ssl, void *data, int len)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_read) real = CALLER_REAL(caller, SSL_read);
        int n;

        if (real == NULL)
                return -1;
        n = real(ssl, data, len);
        if (n > 0 && config.tap && begins_response(data, (size_t)n))
                tap(ssl, caller, data, (size_t)n, true);
        return n;
}

EXPORT int SSL_write(SSL *ssl, const void *data, int len)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_write) real = CALLER_REAL(caller, SSL_write);
        int n;

        if (real == NULL)
                return -1;
        n = real(ssl, data, len);
        if (n > 0 && config.tap && begins_request(data, (size_t)n))
                tap(ssl, caller, data, (size_t)n, false);
        return n;
}

EXPORT int SSL_read_ex(SSL *ssl, void *data, size_t len, size_t *done)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_read_ex) real = CALLER_REAL(caller, SSL_read_ex);
        int result;

        if (real == NULL)
                return 0;
        result = real(ssl, data, len, done);
        if (result == 1 && config.tap && begins_response(data, *done))
                tap(ssl, caller, data, *done, true);
        return result;
}

EXPORT int SSL_write_ex(SSL *ssl, const void *data, size_t len, size_t *done)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_write_ex) real = CALLER_REAL(caller, SSL_write_ex);
        int result;

        if (real == NULL)
                return 0;
        result = real(ssl, data, len, done);
        if (result == 1 && config.tap && begins_request(data, *done))
                tap(ssl, caller, data, *done, false);
        return result;
}
