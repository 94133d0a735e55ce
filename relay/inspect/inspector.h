/* What all intercepted connections of a run share: the OpenSSL contexts of both sides, the run's
 * CA, buffers, and the names whose clients did not trust us. */
#ifndef INSPECT_INSPECTOR_H
#define INSPECT_INSPECTOR_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "inspect/ca.h"
#include "inspect/client_cert.h"
#include "inspect/pcap.h"
#include "inspect/resume.h"
#include "inspect/trust.h"
#include "record/writer.h"

enum { INSPECTOR_CHUNK = 16384 }; /* one TLS record's plaintext */

enum inspector_mode {
        INSPECTOR_AUTO,  /* a name is not inspected any more once a client distrusted us for it */
        INSPECTOR_ALWAYS /* distrust is recorded only */
};

struct inspector {
        struct ca *ca;                     /* borrowed */
        struct trust *trust;               /* borrowed */
        struct record *record;             /* borrowed */
        SSL_CTX *client_ctx;               /* owned: we are the server */
        SSL_CTX *origin_ctx;               /* owned: we are the client */
        BIO_METHOD *wire;                  /* owned */
        struct resume *resume;             /* owned: sessions with origins */
        struct client_certs *client_certs; /* owned: of the user, for origins that ask; or NULL */
        struct pcap *pcap;                 /* owned, or NULL */
        int keylog;                        /* owned descriptor, or -1 */
        bool trusting;                     /* origin_ctx has the roots */
        enum inspector_mode mode;
        struct distrusted *distrusted; /* owned; oldest first */
        char *corks[2];                /* owned: WIRE_CORK bytes each, in use during a turn only */
        void *chunks;                  /* owned: spare buffers, each pointing at the next */
        unsigned chunk_count;
};

/* Borrow ca, trust, record for the inspector's life. Returns NULL with errno. Caller owns; every
 * intercept must be freed before. */
struct inspector *inspector_new(struct ca *ca, struct trust *trust, struct record *record,
                                enum inspector_mode mode);
void inspector_free(struct inspector *in); /* NULL allowed */

/* On the user's demand, before the first connection: append the keys of both legs to a file in the
 * form of NSS, or write captures with keys (pcap.h). Return 0 or -errno. */
int inspector_set_keylog(struct inspector *in, const char *path);
int inspector_set_pcap(struct inspector *in, const char *path);
void inspector_log_secret(struct inspector *in, const char *line); /* no newline */

/* Read the roots that origins are verified against (some 3 ms). The first connection does it if
 * nobody has before. Returns 0 or -ENOMEM. */
int inspector_prepare(struct inspector *in);

/* The slow part of that alone, which may run in a thread of its own, as long as nobody calls
 * inspector_prepare or a client's handshake needs these roots. */
void inspector_load(struct inspector *in);

/* True if a client has refused our certificate for name (or address) before and the mode is auto:
 * pass the connection through then. Names compare without case. */
bool inspector_is_distrusted(const struct inspector *in, const char *name);
void inspector_add_distrusted(struct inspector *in, const char *name);

/* A buffer of INSPECTOR_CHUNK bytes, and back. NULL when out of memory. */
char *inspector_take_chunk(struct inspector *in);
void inspector_give_chunk(struct inspector *in, char *chunk);

#endif
