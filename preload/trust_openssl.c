/* Where programs load their roots through OpenSSL (1.0.2 to 3, and the libraries that took over its
 * names): SSL_CTX_load_verify_locations(3), X509_STORE_load_locations(3), X509_STORE_add_cert(3),
 * X509_LOOKUP_ctrl. libssl calls libcrypto's through the linker, so one load may pass two hooks:
 * the outermost does the work.
 *
 * The CA is added to the same store, by the caller's own libcrypto. A success stays a success and a
 * failure a failure; the error queue is as the real call left it. */
#include "caller.h"
#include "config.h"
#include "real.h"
#include "trust.h"

#include <errno.h>
#include <stdlib.h>

/* OpenSSL's types and functions, by their names in its headers; we have none of those here. */
typedef struct ssl_ctx_st SSL_CTX;
typedef struct x509_store_st X509_STORE;
typedef struct x509_lookup_st X509_LOOKUP;
typedef struct x509_st X509;
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;

X509_STORE *SSL_CTX_get_cert_store(const SSL_CTX *ctx);
X509_STORE *X509_LOOKUP_get_store(const X509_LOOKUP *lookup);
X509 *d2i_X509(X509 **cert, const unsigned char **in, long len);
int i2d_X509(const X509 *cert, unsigned char **out);
void X509_free(X509 *cert);
const char *X509_get_default_cert_file(void);
const char *X509_get_default_cert_file_env(void);
const char *X509_get_default_cert_dir(void);
const char *X509_get_default_cert_dir_env(void);
int ERR_set_mark(void);
int ERR_pop_to_mark(void);

EXPORT int SSL_CTX_set_default_verify_paths(SSL_CTX *ctx);
EXPORT int SSL_CTX_set_default_verify_file(SSL_CTX *ctx);
EXPORT int SSL_CTX_set_default_verify_dir(SSL_CTX *ctx);
EXPORT int SSL_CTX_set_default_verify_store(SSL_CTX *ctx);
EXPORT int SSL_CTX_load_verify_locations(SSL_CTX *ctx, const char *file, const char *dir);
EXPORT int SSL_CTX_load_verify_file(SSL_CTX *ctx, const char *file);
EXPORT int SSL_CTX_load_verify_dir(SSL_CTX *ctx, const char *dir);
EXPORT int SSL_CTX_load_verify_store(SSL_CTX *ctx, const char *uri);
EXPORT int X509_STORE_set_default_paths(X509_STORE *store);
EXPORT int X509_STORE_set_default_paths_ex(X509_STORE *store, OSSL_LIB_CTX *libctx,
                                           const char *properties);
EXPORT int X509_STORE_load_locations(X509_STORE *store, const char *file, const char *dir);
EXPORT int X509_STORE_load_locations_ex(X509_STORE *store, const char *file, const char *dir,
                                        OSSL_LIB_CTX *libctx, const char *properties);
EXPORT int X509_STORE_load_file(X509_STORE *store, const char *file);
EXPORT int X509_STORE_load_file_ex(X509_STORE *store, const char *file, OSSL_LIB_CTX *libctx,
                                   const char *properties);
EXPORT int X509_STORE_load_path(X509_STORE *store, const char *dir);
EXPORT int X509_STORE_load_store(X509_STORE *store, const char *uri);
EXPORT int X509_STORE_load_store_ex(X509_STORE *store, const char *uri, OSSL_LIB_CTX *libctx,
                                    const char *properties);
EXPORT int X509_STORE_add_cert(X509_STORE *store, X509 *cert);
EXPORT int X509_LOOKUP_ctrl(X509_LOOKUP *lookup, int command, const char *text, long number,
                            char **out);

enum { LOOKUP_FILE_LOAD = 1, LOOKUP_ADD_DIR = 2, FILETYPE_DEFAULT = 3, CERTIFICATE_MAX = 16384 };

/* ---- adding ---- */

static void add_certificate(void *caller, X509_STORE *store)
{
        __typeof__(&d2i_X509) decode = CALLER_REAL(caller, d2i_X509);
        __typeof__(&X509_free) release = CALLER_REAL(caller, X509_free);
        __typeof__(&X509_STORE_add_cert) add = CALLER_REAL(caller, X509_STORE_add_cert);
        const unsigned char *der = config.ca;
        X509 *cert;

        if (decode == NULL || release == NULL || add == NULL)
                return;
        cert = decode(NULL, &der, (long)config.ca_len);
        if (cert == NULL)
                return;
        add(store, cert); /* the store keeps a reference of its own; one that it has stays one */
        release(cert);
}

/* errno and the queue of errors are the real call's. */
static void add_to_store(void *caller, X509_STORE *store)
{
        __typeof__(&ERR_set_mark) mark = CALLER_REAL(caller, ERR_set_mark);
        __typeof__(&ERR_pop_to_mark) pop = CALLER_REAL(caller, ERR_pop_to_mark);
        int saved = errno;

        if (store == NULL || mark == NULL || pop == NULL)
                return;
        mark();
        add_certificate(caller, store);
        pop();
        errno = saved;
}

static void add_to_context(void *caller, SSL_CTX *ctx)
{
        __typeof__(&SSL_CTX_get_cert_store) store_of = CALLER_REAL(caller, SSL_CTX_get_cert_store);

        if (store_of != NULL)
                add_to_store(caller, store_of(ctx));
}

/* ---- telling ---- */

/* The variable and the path that this copy of the library was built with: a wheel's own may look
 * elsewhere than the system's. */
static const char *default_path(const char *(*variable)(void), const char *(*built_in)(void))
{
        const char *value = variable != NULL ? getenv(variable()) : NULL;

        if (value != NULL)
                return value;
        return built_in != NULL ? built_in() : NULL;
}

static void tell_default(void *caller, bool file, bool dir)
{
        if (file)
                trust_tell_file(default_path(CALLER_REAL(caller, X509_get_default_cert_file_env),
                                             CALLER_REAL(caller, X509_get_default_cert_file)));
        if (dir)
                trust_tell_directory(
                        default_path(CALLER_REAL(caller, X509_get_default_cert_dir_env),
                                     CALLER_REAL(caller, X509_get_default_cert_dir)));
}

/* Each of these is trust_begin() and tells what is going to be loaded. Before, because curl does it
 * only when it waits for the origin's answer, and parsing takes longer than that may. What then
 * cannot be loaded gives the relay a root too many for a program that will not trust ours. */
static bool begin_default(void *caller, bool file, bool dir)
{
        bool outermost = trust_begin();

        if (outermost)
                tell_default(caller, file, dir);
        return outermost;
}

static bool begin_paths(const char *file, const char *dir)
{
        bool outermost = trust_begin();

        if (!outermost)
                return false;
        trust_tell_file(file);
        trust_tell_directory(dir);
        return true;
}

/* A store is named by a URI; of files it may be the bare path. */
static bool begin_store(const char *uri)
{
        return begin_paths(uri != NULL && uri[0] == '/' ? uri : NULL, NULL);
}

static bool begin_system(void)
{
        bool outermost = trust_begin();

        if (outermost)
                trust_tell_system();
        return outermost;
}

/* ---- contexts ---- */

EXPORT int SSL_CTX_set_default_verify_paths(SSL_CTX *ctx)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_CTX_set_default_verify_paths) real =
                CALLER_REAL(caller, SSL_CTX_set_default_verify_paths);
        bool outermost = begin_default(caller, true, true);
        int result = real != NULL ? real(ctx) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_context(caller, ctx);
        return result;
}

EXPORT int SSL_CTX_set_default_verify_file(SSL_CTX *ctx)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_CTX_set_default_verify_file) real =
                CALLER_REAL(caller, SSL_CTX_set_default_verify_file);
        bool outermost = begin_default(caller, true, false);
        int result = real != NULL ? real(ctx) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_context(caller, ctx);
        return result;
}

EXPORT int SSL_CTX_set_default_verify_dir(SSL_CTX *ctx)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_CTX_set_default_verify_dir) real =
                CALLER_REAL(caller, SSL_CTX_set_default_verify_dir);
        bool outermost = begin_default(caller, false, true);
        int result = real != NULL ? real(ctx) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_context(caller, ctx);
        return result;
}

/* The default store is the system's: on Linux the same as the default file and directory. */
EXPORT int SSL_CTX_set_default_verify_store(SSL_CTX *ctx)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_CTX_set_default_verify_store) real =
                CALLER_REAL(caller, SSL_CTX_set_default_verify_store);
        bool outermost = begin_system();
        int result = real != NULL ? real(ctx) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_context(caller, ctx);
        return result;
}

EXPORT int SSL_CTX_load_verify_locations(SSL_CTX *ctx, const char *file, const char *dir)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_CTX_load_verify_locations) real =
                CALLER_REAL(caller, SSL_CTX_load_verify_locations);
        bool outermost = begin_paths(file, dir);
        int result = real != NULL ? real(ctx, file, dir) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_context(caller, ctx);
        return result;
}

EXPORT int SSL_CTX_load_verify_file(SSL_CTX *ctx, const char *file)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_CTX_load_verify_file) real = CALLER_REAL(caller, SSL_CTX_load_verify_file);
        bool outermost = begin_paths(file, NULL);
        int result = real != NULL ? real(ctx, file) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_context(caller, ctx);
        return result;
}

EXPORT int SSL_CTX_load_verify_dir(SSL_CTX *ctx, const char *dir)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_CTX_load_verify_dir) real = CALLER_REAL(caller, SSL_CTX_load_verify_dir);
        bool outermost = begin_paths(NULL, dir);
        int result = real != NULL ? real(ctx, dir) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_context(caller, ctx);
        return result;
}

EXPORT int SSL_CTX_load_verify_store(SSL_CTX *ctx, const char *uri)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&SSL_CTX_load_verify_store) real =
                CALLER_REAL(caller, SSL_CTX_load_verify_store);
        bool outermost = begin_store(uri);
        int result = real != NULL ? real(ctx, uri) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_context(caller, ctx);
        return result;
}

/* ---- stores ---- */

EXPORT int X509_STORE_set_default_paths(X509_STORE *store)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_set_default_paths) real =
                CALLER_REAL(caller, X509_STORE_set_default_paths);
        bool outermost = begin_default(caller, true, true);
        int result = real != NULL ? real(store) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

EXPORT int X509_STORE_set_default_paths_ex(X509_STORE *store, OSSL_LIB_CTX *libctx,
                                           const char *properties)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_set_default_paths_ex) real =
                CALLER_REAL(caller, X509_STORE_set_default_paths_ex);
        bool outermost = begin_default(caller, true, true);
        int result = real != NULL ? real(store, libctx, properties) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

EXPORT int X509_STORE_load_locations(X509_STORE *store, const char *file, const char *dir)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_load_locations) real =
                CALLER_REAL(caller, X509_STORE_load_locations);
        bool outermost = begin_paths(file, dir);
        int result = real != NULL ? real(store, file, dir) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

EXPORT int X509_STORE_load_locations_ex(X509_STORE *store, const char *file, const char *dir,
                                        OSSL_LIB_CTX *libctx, const char *properties)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_load_locations_ex) real =
                CALLER_REAL(caller, X509_STORE_load_locations_ex);
        bool outermost = begin_paths(file, dir);
        int result = real != NULL ? real(store, file, dir, libctx, properties) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

EXPORT int X509_STORE_load_file(X509_STORE *store, const char *file)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_load_file) real = CALLER_REAL(caller, X509_STORE_load_file);
        bool outermost = begin_paths(file, NULL);
        int result = real != NULL ? real(store, file) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

EXPORT int X509_STORE_load_file_ex(X509_STORE *store, const char *file, OSSL_LIB_CTX *libctx,
                                   const char *properties)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_load_file_ex) real = CALLER_REAL(caller, X509_STORE_load_file_ex);
        bool outermost = begin_paths(file, NULL);
        int result = real != NULL ? real(store, file, libctx, properties) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

EXPORT int X509_STORE_load_path(X509_STORE *store, const char *dir)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_load_path) real = CALLER_REAL(caller, X509_STORE_load_path);
        bool outermost = begin_paths(NULL, dir);
        int result = real != NULL ? real(store, dir) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

EXPORT int X509_STORE_load_store(X509_STORE *store, const char *uri)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_load_store) real = CALLER_REAL(caller, X509_STORE_load_store);
        bool outermost = begin_store(uri);
        int result = real != NULL ? real(store, uri) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

EXPORT int X509_STORE_load_store_ex(X509_STORE *store, const char *uri, OSSL_LIB_CTX *libctx,
                                    const char *properties)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_load_store_ex) real = CALLER_REAL(caller, X509_STORE_load_store_ex);
        bool outermost = begin_store(uri);
        int result = real != NULL ? real(store, uri, libctx, properties) : 0;

        if (trust_end(outermost) && result == 1)
                add_to_store(caller, store);
        return result;
}

/* Certificates one by one, from memory. */
static void tell_certificate(void *caller, X509 *cert)
{
        __typeof__(&i2d_X509) encode = CALLER_REAL(caller, i2d_X509);
        unsigned char der[CERTIFICATE_MAX], *end = der;
        int len = encode != NULL && cert != NULL ? encode(cert, NULL) : 0;

        if (len > 0 && len <= (int)sizeof der && encode(cert, &end) == len)
                trust_tell_certificates(der, (size_t)len);
}

EXPORT int X509_STORE_add_cert(X509_STORE *store, X509 *cert)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_STORE_add_cert) real = CALLER_REAL(caller, X509_STORE_add_cert);
        bool outermost = trust_begin();
        int result = real != NULL ? real(store, cert) : 0;

        if (trust_end(outermost) && result == 1) {
                tell_certificate(caller, cert);
                add_to_store(caller, store);
        }
        return result;
}

static bool begin_lookup(void *caller, int command, const char *text, long number)
{
        if (number == FILETYPE_DEFAULT)
                return begin_default(caller, command == LOOKUP_FILE_LOAD,
                                     command == LOOKUP_ADD_DIR);
        if (command == LOOKUP_FILE_LOAD)
                return begin_paths(text, NULL);
        return command == LOOKUP_ADD_DIR && begin_paths(NULL, text);
}

/* X509_LOOKUP_load_file(3) and X509_LOOKUP_add_dir(3) are macros over this. */
EXPORT int X509_LOOKUP_ctrl(X509_LOOKUP *lookup, int command, const char *text, long number,
                            char **out)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&X509_LOOKUP_ctrl) real = CALLER_REAL(caller, X509_LOOKUP_ctrl);
        __typeof__(&X509_LOOKUP_get_store) store_of = CALLER_REAL(caller, X509_LOOKUP_get_store);
        bool outermost = begin_lookup(caller, command, text, number);
        int result = real != NULL ? real(lookup, command, text, number, out) : 0;

        if (trust_end(outermost) && result > 0 && store_of != NULL)
                add_to_store(caller, store_of(lookup));
        return result;
}
