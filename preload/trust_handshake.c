/* Roots that are loaded during the handshake: curl does that when it waits for the origin's answer.
 * SSL_connect(3) and SSL_do_handshake(3) tell the relay when a handshake begins whose context has
 * no roots yet, and when the call has come back: until then the relay does not judge the origin. */
#include "caller.h"
#include "config.h"
#include "real.h"
#include "sys.h"
#include "trust.h"

#include <fcntl.h>

/* OpenSSL's types and functions, by their names in its headers; we have none of those here. */
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct x509_store_st X509_STORE;
typedef struct stack_st OPENSSL_STACK;

int SSL_in_before(const SSL *ssl);
int SSL_is_server(const SSL *ssl);
int SSL_get_verify_mode(const SSL *ssl);
int SSL_get_fd(const SSL *ssl);
SSL_CTX *SSL_get_SSL_CTX(const SSL *ssl);
X509_STORE *SSL_CTX_get_cert_store(const SSL_CTX *ctx);
OPENSSL_STACK *X509_STORE_get0_objects(const X509_STORE *store);
int OPENSSL_sk_num(const OPENSSL_STACK *stack);

EXPORT int SSL_connect(SSL *ssl);
EXPORT int SSL_do_handshake(SSL *ssl);

enum { VERIFY_PEER = 1 };

static bool store_is_empty(void *caller, const SSL *ssl)
{
        __typeof__(&SSL_get_SSL_CTX) context_of = CALLER_REAL(caller, SSL_get_SSL_CTX);
        __typeof__(&SSL_CTX_get_cert_store) store_of = CALLER_REAL(caller, SSL_CTX_get_cert_store);
        __typeof__(&X509_STORE_get0_objects) objects_of =
                CALLER_REAL(caller, X509_STORE_get0_objects);
        __typeof__(&OPENSSL_sk_num) count_of = CALLER_REAL(caller, OPENSSL_sk_num);

        return context_of != NULL && store_of != NULL && objects_of != NULL && count_of != NULL &&
               count_of(objects_of(store_of(context_of(ssl)))) == 0;
}

/* In a call that waits for the origin's answer the relay would wait for the call. One who loads
 * roots meanwhile does not wait in it. */
static bool waits(void *caller, const SSL *ssl)
{
        __typeof__(&SSL_get_fd) get_fd = CALLER_REAL(caller, SSL_get_fd);
        int fd = get_fd != NULL ? get_fd(ssl) : -1;

        return fd >= 0 && (sys(SYS_fcntl, fd, F_GETFL, 0) & O_NONBLOCK) == 0;
}

/* Returns true if told. */
static bool tell_loading(void *caller, const SSL *ssl)
{
        __typeof__(&SSL_in_before) in_before = CALLER_REAL(caller, SSL_in_before);
        __typeof__(&SSL_is_server) is_server = CALLER_REAL(caller, SSL_is_server);
        __typeof__(&SSL_get_verify_mode) mode_of = CALLER_REAL(caller, SSL_get_verify_mode);

        if (in_before == NULL || is_server == NULL || mode_of == NULL || !in_before(ssl) ||
            is_server(ssl) || (mode_of(ssl) & VERIFY_PEER) == 0 || waits(caller, ssl) ||
            !store_is_empty(caller, ssl))
                return false;
        trust_tell_loading(true);
        return true;
}

EXPORT int SSL_connect(SSL *ssl)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_connect) real = CALLER_REAL(caller, SSL_connect);
        bool told = trust_is_wanted() && tell_loading(caller, ssl);
        int result = real != NULL ? real(ssl) : -1;

        if (told)
                trust_tell_loading(false);
        return result;
}

/* The other name of the same, for those that have called SSL_set_connect_state(3) before. */
EXPORT int SSL_do_handshake(SSL *ssl)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_do_handshake) real = CALLER_REAL(caller, SSL_do_handshake);
        bool told = trust_is_wanted() && tell_loading(caller, ssl);
        int result = real != NULL ? real(ssl) : -1;

        if (told)
                trust_tell_loading(false);
        return result;
}
