/* What the hooks of both TLS libraries share; see trust.h. */
#include "trust.h"
#include "config.h"
#include "control.h"
#include "sys.h"
#include "text.h"

#include <limits.h>
#include <string.h>

static const char pem_begin[] = "-----BEGIN ";

/* Set during a call of the real function only. */
static __thread bool inside;

bool trust_is_wanted(void)
{
        return config.ready && config.ca_len != 0;
}

bool trust_begin(void)
{
        if (!trust_is_wanted() || inside)
                return false;
        inside = true;
        return true;
}

bool trust_end(bool outermost)
{
        if (outermost)
                inside = false;
        return outermost;
}

static void tell(enum wire_trust_kind kind, const void *data, size_t len)
{
        struct wire_trust message = {.kind = (uint16_t)kind};

        control_report2(WIRE_TRUST, &message.head, sizeof message, data, len);
}

static void tell_path(enum wire_trust_kind kind, const char *path)
{
        char absolute[PATH_MAX];
        size_t len = path != NULL ? text_len(path, sizeof absolute) : 0, used = 0;
        long n;

        if (len == 0)
                return;
        if (path[0] != '/') {
                n = sys(SYS_getcwd, absolute, sizeof absolute, 0); /* its length with the NUL */
                if (n < 2 || absolute[0] != '/')
                        return;
                used = (size_t)n;
                absolute[used - 1] = '/';
        }
        if (used + len >= sizeof absolute)
                return;
        memcpy(absolute + used, path, len);
        absolute[used + len] = '\0';
        tell(kind, absolute, used + len + 1);
}

void trust_tell_file(const char *path)
{
        tell_path(WIRE_TRUST_FILE, path);
}

void trust_tell_directory(const char *path)
{
        tell_path(WIRE_TRUST_DIRECTORY, path);
}

void trust_tell_system(void)
{
        tell(WIRE_TRUST_SYSTEM, NULL, 0);
}

void trust_tell_loading(bool begins)
{
        tell(begins ? WIRE_TRUST_LOADING : WIRE_TRUST_LOADED, NULL, 0);
}

/* A packet has its limit, so PEM text goes block by block. */
static void tell_pem(const char *at, size_t len)
{
        while (len > 0) {
                const char *next = memmem(at + 1, len - 1, pem_begin, sizeof pem_begin - 1);
                size_t part = next != NULL ? (size_t)(next - at) : len;

                if (part < WIRE_MAX - sizeof(struct wire_trust))
                        tell(WIRE_TRUST_CERTIFICATE, at, part);
                at += part;
                len -= part;
        }
}

void trust_tell_certificates(const void *data, size_t len)
{
        const char *pem = memmem(data, len, pem_begin, sizeof pem_begin - 1);

        if (pem != NULL)
                tell_pem(pem, len - (size_t)(pem - (const char *)data));
        else if (len > 0 && len < WIRE_MAX - sizeof(struct wire_trust))
                tell(WIRE_TRUST_CERTIFICATE, data, len);
}
