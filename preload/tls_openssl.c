/* The TLS tap on OpenSSL: SSL_read(3), SSL_write(3), their _ex forms and SSL_sendfile(3). What
 * passes is shown to tap.c. For a connection of HTTP/2 the SSL object keeps two numbers of ours
 * (CRYPTO_get_ex_new_index(3)), so that nothing outlives it; others are never asked for them. */
#include "caller.h"
#include "config.h"
#include "real.h"
#include "tap.h"

#include <errno.h>
#include <sys/types.h>

/* OpenSSL's types and functions, by their names in its headers; we have none of those here. */
typedef struct ssl_st SSL;

int SSL_get_fd(const SSL *ssl);
const char *SSL_get_servername(const SSL *ssl, int type);
size_t SSL_get_client_random(const SSL *ssl, unsigned char *out, size_t len);
int SSL_set_ex_data(SSL *ssl, int index, void *value);
void *SSL_get_ex_data(const SSL *ssl, int index);
int CRYPTO_get_ex_new_index(int class_index, long number, void *pointer, void *make, void *copy,
                            void *release);

EXPORT int SSL_read(SSL *ssl, void *data, int len);
EXPORT int SSL_write(SSL *ssl, const void *data, int len);
EXPORT int SSL_read_ex(SSL *ssl, void *data, size_t len, size_t *done);
EXPORT int SSL_write_ex(SSL *ssl, const void *data, size_t len, size_t *done);
EXPORT ssize_t SSL_sendfile(SSL *ssl, int fd, off_t at, size_t len, int flags);

enum { LIBRARIES = 8, CLASS_SSL = 0 };

/* The indices that each copy of the library has given us, as index + 1; a copy is known by the
 * address of its SSL_set_ex_data. Written once each. */
static struct library {
        _Atomic(void *) known_by;
        _Atomic int from_client, from_server;
} libraries[LIBRARIES];

static _Atomic bool any_frames; /* HTTP/2 has been seen in this process */

static struct library *library_of(void *caller)
{
        void *known_by = caller_find(caller, "SSL_set_ex_data");

        for (size_t i = 0; known_by != NULL && i < LIBRARIES; i++) {
                void *none = NULL;

                if (atomic_compare_exchange_strong(&libraries[i].known_by, &none, known_by) ||
                    none == known_by)
                        return &libraries[i];
        }
        return NULL;
}

/* Index of a direction's number, or -1. Two threads may both ask for one: then one goes unused. */
static int index_of(void *caller, bool from_server, bool make)
{
        __typeof__(&CRYPTO_get_ex_new_index) new_index =
                CALLER_REAL(caller, CRYPTO_get_ex_new_index);
        struct library *library = library_of(caller);
        _Atomic int *index;
        int none = 0, made;

        if (library == NULL)
                return -1;
        index = from_server ? &library->from_server : &library->from_client;
        if (*index == 0 && make && new_index != NULL) {
                made = new_index(CLASS_SSL, 0, NULL, NULL, NULL, NULL);
                if (made >= 0)
                        atomic_compare_exchange_strong(index, &none, made + 1);
        }
        return *index - 1;
}

static uint64_t get_state(void *caller, const SSL *ssl, bool from_server)
{
        __typeof__(&SSL_get_ex_data) get = CALLER_REAL(caller, SSL_get_ex_data);
        int index = index_of(caller, from_server, false);

        return get != NULL && index >= 0 ? (uint64_t)(uintptr_t)get(ssl, index) : 0;
}

static void set_state(void *caller, SSL *ssl, bool from_server, uint64_t state)
{
        __typeof__(&SSL_set_ex_data) set = CALLER_REAL(caller, SSL_set_ex_data);
        int index = index_of(caller, from_server, true);

        _Static_assert(sizeof(void *) == sizeof(uint64_t), "a pointer holds tap_frames' state");
        if (set != NULL && index >= 0)
                set(ssl, index, (void *)(uintptr_t)state);
}

static uint64_t id_of(void *caller, const SSL *ssl)
{
        __typeof__(&SSL_get_client_random) get = CALLER_REAL(caller, SSL_get_client_random);
        uint64_t id = 0;

        if (get == NULL || get(ssl, (unsigned char *)&id, sizeof id) != sizeof id)
                return (uintptr_t)ssl;
        return id;
}

static struct tap_place place_of(void *caller, const SSL *ssl, bool from_server)
{
        __typeof__(&SSL_get_fd) get_fd = CALLER_REAL(caller, SSL_get_fd);
        __typeof__(&SSL_get_servername) get_name = CALLER_REAL(caller, SSL_get_servername);

        return (struct tap_place){.tls = id_of(caller, ssl),
                                  .fd = get_fd != NULL ? get_fd(ssl) : -1,
                                  .name = get_name != NULL ? get_name(ssl, 0) : NULL,
                                  .from_server = from_server};
}

static void show_frames(void *caller, SSL *ssl, const char *data, size_t len, bool from_server,
                        uint64_t state)
{
        struct tap_place place = place_of(caller, ssl, from_server);
        uint64_t next = tap_frames(&place, state, data, len);

        if (next != state)
                set_state(caller, ssl, from_server, next);
}

static void begin_frames(void *caller, SSL *ssl, const char *data, size_t len)
{
        any_frames = true;
        set_state(caller, ssl, true, TAP_FRAMES_BEGIN);
        set_state(caller, ssl, false, TAP_FRAMES_BEGIN);
        show_frames(caller, ssl, data, len, false, TAP_FRAMES_BEGIN);
}

/* len bytes have passed. */
static void show(void *caller, SSL *ssl, const char *data, size_t len, bool from_server)
{
        uint64_t state = any_frames ? get_state(caller, ssl, from_server) : 0;
        int saved = errno;

        if (state != 0) {
                show_frames(caller, ssl, data, len, from_server, state);
        } else if (tap_is_head(data, len, from_server)) {
                struct tap_place place = place_of(caller, ssl, from_server);

                tap_head(&place, data, len);
        } else if (!from_server && tap_is_preface(data, len)) {
                begin_frames(caller, ssl, data, len);
        }
        errno = saved;
}

EXPORT int SSL_read(SSL *ssl, void *data, int len)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_read) real = CALLER_REAL(caller, SSL_read);
        int n = real != NULL ? real(ssl, data, len) : -1;

        if (n > 0 && config.tap)
                show(caller, ssl, data, (size_t)n, true);
        return n;
}

EXPORT int SSL_write(SSL *ssl, const void *data, int len)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_write) real = CALLER_REAL(caller, SSL_write);
        int n = real != NULL ? real(ssl, data, len) : -1;

        if (n > 0 && config.tap)
                show(caller, ssl, data, (size_t)n, false);
        return n;
}

EXPORT int SSL_read_ex(SSL *ssl, void *data, size_t len, size_t *done)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_read_ex) real = CALLER_REAL(caller, SSL_read_ex);
        int result = real != NULL ? real(ssl, data, len, done) : 0;

        if (result == 1 && config.tap)
                show(caller, ssl, data, *done, true);
        return result;
}

EXPORT int SSL_write_ex(SSL *ssl, const void *data, size_t len, size_t *done)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_write_ex) real = CALLER_REAL(caller, SSL_write_ex);
        int result = real != NULL ? real(ssl, data, len, done) : 0;

        if (result == 1 && config.tap)
                show(caller, ssl, data, *done, false);
        return result;
}

/* From a file, by the kernel: bodies only. HTTP/2 has to know how much has passed. */
EXPORT ssize_t SSL_sendfile(SSL *ssl, int fd, off_t at, size_t len, int flags)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_sendfile) real = CALLER_REAL(caller, SSL_sendfile);
        ssize_t n = real != NULL ? real(ssl, fd, at, len, flags) : -1;
        uint64_t state = n > 0 && any_frames ? get_state(caller, ssl, false) : 0;
        int saved = errno;

        if (state != 0)
                show_frames(caller, ssl, NULL, (size_t)n, false, state);
        errno = saved;
        return n;
}
