/* The TLS tap: SSL_read(3), SSL_write(3) and their _ex forms. A copy of what begins an HTTP/1 head
 * goes to the relay; everything else passes without a look beyond its first bytes.
 *
 * The real function is the one that the caller itself is linked to: an interpreter loads libssl
 * with RTLD_LOCAL, where RTLD_NEXT finds nothing, and a process may hold several copies. So it is
 * looked up through the object of the return address, and kept per call site. */
#include "config.h"
#include "control.h"
#include "real.h"
#include "socket.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

/* OpenSSL's types, by their names in its headers; we have none of those here. */
typedef struct ssl_st SSL;

EXPORT int SSL_read(SSL *ssl, void *data, int len);
EXPORT int SSL_write(SSL *ssl, const void *data, int len);
EXPORT int SSL_read_ex(SSL *ssl, void *data, size_t len, size_t *done);
EXPORT int SSL_write_ex(SSL *ssl, const void *data, size_t len, size_t *done);

enum { SITES = 64, HEAD_MAX = 16384 };

/* A call site's real functions. `address` is stored last, with release order. */
static struct site {
        _Atomic(void *) address;
        void *function;
        int (*get_fd)(const SSL *ssl);
} sites[SITES];

struct functions {
        void *function;
        int (*get_fd)(const SSL *ssl);
};

/* Find name as the object that holds address sees it. The main program's scope begins with our own
 * library, so there RTLD_NEXT is right. */
static void *lookup(void *address, const char *name)
{
        struct link_map *map = NULL;
        Dl_info info;
        void *handle, *found;

        if (dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || map == NULL ||
            map->l_name == NULL || map->l_name[0] == '\0')
                return dlsym(RTLD_NEXT, name);
        handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
        if (handle == NULL)
                return dlsym(RTLD_NEXT, name);
        found = dlsym(handle, name);
        dlclose(handle);
        return found;
}

static bool is_ours(void *function)
{
        return function == (void *)SSL_read || function == (void *)SSL_write ||
               function == (void *)SSL_read_ex || function == (void *)SSL_write_ex;
}

static void *search(void *address, const char *name)
{
        void *function = lookup(address, name);

        if (function == NULL || is_ours(function))
                function = dlsym(RTLD_NEXT, name);
        return function;
}

/* The real functions for a call site: from the table, else looked up. A full table only costs time.
 */
static struct functions real_for(void *address, const char *name)
{
        int saved = errno;
        size_t slot = ((uintptr_t)address >> 2) % SITES;
        struct functions found;

        for (size_t i = 0; i < SITES; i++) {
                struct site *s = &sites[(slot + i) % SITES];
                void *at = atomic_load_explicit(&s->address, memory_order_acquire);

                if (at == address)
                        return (struct functions){s->function, s->get_fd};
                if (at == NULL)
                        break;
        }
        found.function = search(address, name);
        *(void **)&found.get_fd = search(address, "SSL_get_fd");
        for (size_t i = 0; i < SITES; i++) {
                struct site *s = &sites[(slot + i) % SITES];
                void *none = NULL;

                /* Claimed with a value that matches no caller until the functions are stored. */
                if (!atomic_compare_exchange_strong(&s->address, &none, (void *)1))
                        continue;
                s->function = found.function;
                s->get_fd = found.get_fd;
                atomic_store_explicit(&s->address, address, memory_order_release);
                break;
        }
        errno = saved;
        return found;
}

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

static void tap(SSL *ssl, int (*get_fd)(const SSL *), const char *data, size_t len,
                bool from_server)
{
        struct wire_tap message = {.from_server = from_server, .total_len = (uint32_t)len};
        int saved = errno, fd = get_fd != NULL ? get_fd(ssl) : -1;

        message.tls = (uintptr_t)ssl;
        if (fd >= 0 && socket_local(fd, &message.local))
                message.cookie = socket_cookie(fd);
        control_report2(WIRE_TAP, &message.head, sizeof message, data, head_len(data, len));
        errno = saved;
}

EXPORT int SSL_read(SSL *ssl, void *data, int len)
{
        struct functions real = real_for(__builtin_return_address(0), "SSL_read");
        int n;

        if (real.function == NULL)
                return -1;
        n = ((__typeof__(&SSL_read))real.function)(ssl, data, len);
        if (n > 0 && config.tap && begins_response(data, (size_t)n))
                tap(ssl, real.get_fd, data, (size_t)n, true);
        return n;
}

EXPORT int SSL_write(SSL *ssl, const void *data, int len)
{
        struct functions real = real_for(__builtin_return_address(0), "SSL_write");
        int n;

        if (real.function == NULL)
                return -1;
        n = ((__typeof__(&SSL_write))real.function)(ssl, data, len);
        if (n > 0 && config.tap && begins_request(data, (size_t)n))
                tap(ssl, real.get_fd, data, (size_t)n, false);
        return n;
}

EXPORT int SSL_read_ex(SSL *ssl, void *data, size_t len, size_t *done)
{
        struct functions real = real_for(__builtin_return_address(0), "SSL_read_ex");
        int result;

        if (real.function == NULL)
                return 0;
        result = ((__typeof__(&SSL_read_ex))real.function)(ssl, data, len, done);
        if (result == 1 && config.tap && begins_response(data, *done))
                tap(ssl, real.get_fd, data, *done, true);
        return result;
}

EXPORT int SSL_write_ex(SSL *ssl, const void *data, size_t len, size_t *done)
{
        struct functions real = real_for(__builtin_return_address(0), "SSL_write_ex");
        int result;

        if (real.function == NULL)
                return 0;
        result = ((__typeof__(&SSL_write_ex))real.function)(ssl, data, len, done);
        if (result == 1 && config.tap && begins_request(data, *done))
                tap(ssl, real.get_fd, data, *done, false);
        return result;
}
