/* Negotiate; see negotiate.h. The declarations are the part of RFC 2744's C bindings that we use:
 * the header may not be there when we are built, as the library may not be when we run. */
#include "net/negotiate.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gss_buffer {
        size_t length;
        void *value;
};

struct gss_oid {
        uint32_t length;
        const void *elements;
};

enum { GSS_COMPLETE = 0, GSS_CONTINUE_NEEDED = 1 };

/* RFC 2743 section 4.1 (host based service) and RFC 4178 section 3.2 (SPNEGO) */
static struct gss_oid service_oid = {10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04"};
static struct gss_oid spnego_oid = {6, "\x2b\x06\x01\x05\x05\x02"};

static struct {
        uint32_t (*import_name)(uint32_t *minor, struct gss_buffer *text, struct gss_oid *type,
                                void **name);
        uint32_t (*release_name)(uint32_t *minor, void **name);
        uint32_t (*init)(uint32_t *minor, void *credential, void **context, void *name,
                         struct gss_oid *mechanism, uint32_t flags, uint32_t lifetime,
                         void *bindings, struct gss_buffer *theirs, struct gss_oid **used,
                         struct gss_buffer *ours, uint32_t *got_flags, uint32_t *got_lifetime);
        uint32_t (*release_buffer)(uint32_t *minor, struct gss_buffer *buffer);
        uint32_t (*delete)(uint32_t *minor, void **context, struct gss_buffer *token);
} gss;

static bool loaded;

static void *find(void *library, const char *name)
{
        return library != NULL ? dlsym(library, name) : NULL;
}

static void load(void)
{
        void *library = dlopen("libgssapi_krb5.so.2", RTLD_NOW | RTLD_LOCAL);

        gss.import_name = find(library, "gss_import_name");
        gss.release_name = find(library, "gss_release_name");
        gss.init = find(library, "gss_init_sec_context");
        gss.release_buffer = find(library, "gss_release_buffer");
        gss.delete = find(library, "gss_delete_sec_context");
        loaded = gss.import_name != NULL && gss.release_name != NULL && gss.init != NULL &&
                 gss.release_buffer != NULL && gss.delete != NULL;
}

bool negotiate_is_there(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, load);
        return loaded;
}

struct negotiate {
        void *name, *context; /* the library's */
        char *service;        /* owned */
};

struct negotiate *negotiate_new(const char *host)
{
        struct negotiate *n = negotiate_is_there() ? calloc(1, sizeof *n) : NULL;

        if (n != NULL && asprintf(&n->service, "HTTP@%s", host) < 0) {
                free(n);
                return NULL;
        }
        return n;
}

void negotiate_free(struct negotiate *n)
{
        uint32_t minor;

        if (n == NULL)
                return;
        if (n->context != NULL)
                gss.delete(&minor, &n->context, NULL);
        if (n->name != NULL)
                gss.release_name(&minor, &n->name);
        free(n->service);
        free(n);
}

static char *encode(const struct gss_buffer *token)
{
        size_t prefix = strlen("Negotiate ");
        char *out = token->length > 0 && token->length < 65536
                            ? malloc(prefix + (token->length + 2) / 3 * 4 + 1)
                            : NULL;

        if (out == NULL)
                return NULL;
        memcpy(out, "Negotiate ", prefix);
        EVP_EncodeBlock((unsigned char *)out + prefix, token->value, (int)token->length);
        return out;
}

/* Base64 into out, whose value is then owned by the caller. Returns false for what is none. */
static bool decode(const char *text, struct gss_buffer *out)
{
        size_t len = strlen(text);
        int got;

        *out = (struct gss_buffer){0, NULL};
        if (len == 0)
                return true;
        if (len % 4 != 0 || len > 131072 || (out->value = malloc(len / 4 * 3)) == NULL)
                return false;
        got = EVP_DecodeBlock(out->value, (const unsigned char *)text, (int)len);
        if (got < 0) {
                free(out->value);
                return false;
        }
        out->length = (size_t)got - (text[len - 1] == '=') - (len > 1 && text[len - 2] == '=');
        return true;
}

char *negotiate_answer(struct negotiate *n, const char *theirs)
{
        struct gss_buffer service = {strlen(n->service), n->service}, in, ours = {0, NULL};
        uint32_t major, minor;
        char *text = NULL;

        if (n->name == NULL &&
            gss.import_name(&minor, &service, &service_oid, &n->name) != GSS_COMPLETE)
                return NULL;
        if (!decode(theirs, &in))
                return NULL;
        major = gss.init(&minor, NULL, &n->context, n->name, &spnego_oid, 0, 0, NULL,
                         in.length > 0 ? &in : NULL, NULL, &ours, NULL, NULL);
        if (major == GSS_COMPLETE || major == GSS_CONTINUE_NEEDED)
                text = encode(&ours);
        if (ours.value != NULL) {
                explicit_bzero(ours.value, ours.length);
                gss.release_buffer(&minor, &ours);
        }
        free(in.value);
        return text;
}
