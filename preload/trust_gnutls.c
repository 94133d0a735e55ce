/* Where programs load their roots through GnuTLS: gnutls_certificate_set_x509_trust_file(3) and its
 * kin for credentials, gnutls_x509_trust_list_add_trust_file(3) and its kin for lists of their own.
 * The former call the latter: the outermost hook does the work. All return how many certificates
 * were taken, or a negative error; ours is not counted. */
#include "caller.h"
#include "config.h"
#include "real.h"
#include "trust.h"

#include <errno.h>

/* GnuTLS's types and functions, by their names in its headers; we have none of those here. */
typedef struct gnutls_certificate_credentials_st *gnutls_certificate_credentials_t;
typedef struct gnutls_x509_trust_list_st *gnutls_x509_trust_list_t;
typedef struct gnutls_x509_crt_int *gnutls_x509_crt_t;
typedef struct {
        unsigned char *data;
        unsigned size;
} gnutls_datum_t;

int gnutls_x509_crt_export(gnutls_x509_crt_t cert, int format, void *out, size_t *size);

EXPORT int gnutls_certificate_set_x509_system_trust(gnutls_certificate_credentials_t to);
EXPORT int gnutls_certificate_set_x509_trust_file(gnutls_certificate_credentials_t to,
                                                  const char *file, int format);
EXPORT int gnutls_certificate_set_x509_trust_dir(gnutls_certificate_credentials_t to,
                                                 const char *dir, int format);
EXPORT int gnutls_certificate_set_x509_trust_mem(gnutls_certificate_credentials_t to,
                                                 const gnutls_datum_t *data, int format);
EXPORT int gnutls_certificate_set_x509_trust(gnutls_certificate_credentials_t to,
                                             gnutls_x509_crt_t *list, int count);
EXPORT int gnutls_x509_trust_list_add_system_trust(gnutls_x509_trust_list_t to, unsigned flags,
                                                   unsigned verify_flags);
EXPORT int gnutls_x509_trust_list_add_trust_file(gnutls_x509_trust_list_t to, const char *file,
                                                 const char *revoked, int format, unsigned flags,
                                                 unsigned verify_flags);
EXPORT int gnutls_x509_trust_list_add_trust_dir(gnutls_x509_trust_list_t to, const char *dir,
                                                const char *revoked, int format, unsigned flags,
                                                unsigned verify_flags);
EXPORT int gnutls_x509_trust_list_add_trust_mem(gnutls_x509_trust_list_t to,
                                                const gnutls_datum_t *data,
                                                const gnutls_datum_t *revoked, int format,
                                                unsigned flags, unsigned verify_flags);
EXPORT int gnutls_x509_trust_list_add_cas(gnutls_x509_trust_list_t to,
                                          const gnutls_x509_crt_t *list, unsigned count,
                                          unsigned flags);

enum { FORMAT_DER = 0, CERTIFICATE_MAX = 16384 };

static gnutls_datum_t ours(void)
{
        return (gnutls_datum_t){config.ca, (unsigned)config.ca_len};
}

static void add_to_credentials(void *caller, gnutls_certificate_credentials_t to)
{
        __typeof__(&gnutls_certificate_set_x509_trust_mem) add =
                CALLER_REAL(caller, gnutls_certificate_set_x509_trust_mem);
        gnutls_datum_t ca = ours();
        int saved = errno;

        if (add != NULL && trust_begin()) {
                add(to, &ca, FORMAT_DER);
                trust_end(true);
        }
        errno = saved;
}

static void add_to_list(void *caller, gnutls_x509_trust_list_t to)
{
        __typeof__(&gnutls_x509_trust_list_add_trust_mem) add =
                CALLER_REAL(caller, gnutls_x509_trust_list_add_trust_mem);
        gnutls_datum_t ca = ours();
        int saved = errno;

        if (add != NULL && trust_begin()) {
                add(to, &ca, NULL, FORMAT_DER, 0, 0);
                trust_end(true);
        }
        errno = saved;
}

static void tell_list(void *caller, const gnutls_x509_crt_t *list, unsigned count)
{
        __typeof__(&gnutls_x509_crt_export) encode = CALLER_REAL(caller, gnutls_x509_crt_export);
        unsigned char der[CERTIFICATE_MAX];

        for (unsigned i = 0; encode != NULL && i < count; i++) {
                size_t len = sizeof der;

                if (encode(list[i], FORMAT_DER, der, &len) == 0)
                        trust_tell_certificates(der, len);
        }
}

/* ---- credentials ---- */

EXPORT int gnutls_certificate_set_x509_system_trust(gnutls_certificate_credentials_t to)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_certificate_set_x509_system_trust) real =
                CALLER_REAL(caller, gnutls_certificate_set_x509_system_trust);
        bool outermost = trust_begin();
        int result;

        if (outermost)
                trust_tell_system();
        result = real != NULL ? real(to) : -1;
        if (trust_end(outermost) && result >= 0)
                add_to_credentials(caller, to);
        return result;
}

EXPORT int gnutls_certificate_set_x509_trust_file(gnutls_certificate_credentials_t to,
                                                  const char *file, int format)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_certificate_set_x509_trust_file) real =
                CALLER_REAL(caller, gnutls_certificate_set_x509_trust_file);
        bool outermost = trust_begin();
        int result;

        if (outermost)
                trust_tell_file(file);
        result = real != NULL ? real(to, file, format) : -1;
        if (trust_end(outermost) && result >= 0)
                add_to_credentials(caller, to);
        return result;
}

EXPORT int gnutls_certificate_set_x509_trust_dir(gnutls_certificate_credentials_t to,
                                                 const char *dir, int format)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_certificate_set_x509_trust_dir) real =
                CALLER_REAL(caller, gnutls_certificate_set_x509_trust_dir);
        bool outermost = trust_begin();
        int result;

        if (outermost)
                trust_tell_directory(dir);
        result = real != NULL ? real(to, dir, format) : -1;
        if (trust_end(outermost) && result >= 0)
                add_to_credentials(caller, to);
        return result;
}

EXPORT int gnutls_certificate_set_x509_trust_mem(gnutls_certificate_credentials_t to,
                                                 const gnutls_datum_t *data, int format)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_certificate_set_x509_trust_mem) real =
                CALLER_REAL(caller, gnutls_certificate_set_x509_trust_mem);
        bool outermost = trust_begin();
        int result;

        if (outermost)
                trust_tell_certificates(data->data, data->size);
        result = real != NULL ? real(to, data, format) : -1;
        if (trust_end(outermost) && result >= 0)
                add_to_credentials(caller, to);
        return result;
}

EXPORT int gnutls_certificate_set_x509_trust(gnutls_certificate_credentials_t to,
                                             gnutls_x509_crt_t *list, int count)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_certificate_set_x509_trust) real =
                CALLER_REAL(caller, gnutls_certificate_set_x509_trust);
        bool outermost = trust_begin();
        int result;

        if (outermost)
                tell_list(caller, list, count > 0 ? (unsigned)count : 0);
        result = real != NULL ? real(to, list, count) : -1;
        if (trust_end(outermost) && result >= 0)
                add_to_credentials(caller, to);
        return result;
}

/* ---- lists ---- */

EXPORT int gnutls_x509_trust_list_add_system_trust(gnutls_x509_trust_list_t to, unsigned flags,
                                                   unsigned verify_flags)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_x509_trust_list_add_system_trust) real =
                CALLER_REAL(caller, gnutls_x509_trust_list_add_system_trust);
        bool outermost = trust_begin();
        int result;

        if (outermost)
                trust_tell_system();
        result = real != NULL ? real(to, flags, verify_flags) : -1;
        if (trust_end(outermost) && result >= 0)
                add_to_list(caller, to);
        return result;
}

EXPORT int gnutls_x509_trust_list_add_trust_file(gnutls_x509_trust_list_t to, const char *file,
                                                 const char *revoked, int format, unsigned flags,
                                                 unsigned verify_flags)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_x509_trust_list_add_trust_file) real =
                CALLER_REAL(caller, gnutls_x509_trust_list_add_trust_file);
        bool outermost = trust_begin();
        int result;

        if (outermost && file != NULL)
                trust_tell_file(file);
        result = real != NULL ? real(to, file, revoked, format, flags, verify_flags) : -1;
        if (trust_end(outermost) && result >= 0 && file != NULL)
                add_to_list(caller, to);
        return result;
}

EXPORT int gnutls_x509_trust_list_add_trust_dir(gnutls_x509_trust_list_t to, const char *dir,
                                                const char *revoked, int format, unsigned flags,
                                                unsigned verify_flags)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_x509_trust_list_add_trust_dir) real =
                CALLER_REAL(caller, gnutls_x509_trust_list_add_trust_dir);
        bool outermost = trust_begin();
        int result;

        if (outermost && dir != NULL)
                trust_tell_directory(dir);
        result = real != NULL ? real(to, dir, revoked, format, flags, verify_flags) : -1;
        if (trust_end(outermost) && result >= 0 && dir != NULL)
                add_to_list(caller, to);
        return result;
}

EXPORT int gnutls_x509_trust_list_add_trust_mem(gnutls_x509_trust_list_t to,
                                                const gnutls_datum_t *data,
                                                const gnutls_datum_t *revoked, int format,
                                                unsigned flags, unsigned verify_flags)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_x509_trust_list_add_trust_mem) real =
                CALLER_REAL(caller, gnutls_x509_trust_list_add_trust_mem);
        bool outermost = trust_begin();
        int result;

        if (outermost && data != NULL)
                trust_tell_certificates(data->data, data->size);
        result = real != NULL ? real(to, data, revoked, format, flags, verify_flags) : -1;
        if (trust_end(outermost) && result >= 0 && data != NULL)
                add_to_list(caller, to);
        return result;
}

EXPORT int gnutls_x509_trust_list_add_cas(gnutls_x509_trust_list_t to,
                                          const gnutls_x509_crt_t *list, unsigned count,
                                          unsigned flags)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_x509_trust_list_add_cas) real =
                CALLER_REAL(caller, gnutls_x509_trust_list_add_cas);
        bool outermost = trust_begin();
        int result;

        if (outermost)
                tell_list(caller, list, count);
        result = real != NULL ? real(to, list, count, flags) : -1;
        if (trust_end(outermost) && result >= 0)
                add_to_list(caller, to);
        return result;
}
