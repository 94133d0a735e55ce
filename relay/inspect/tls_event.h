/* The tls events of the record (docs/record.md), from the state of an intercepted connection. */
#ifndef INSPECT_TLS_EVENT_H
#define INSPECT_TLS_EVENT_H

#include "inspect/session.h"

struct tls_event {
        const struct end *end; /* whose handshake */
        const char *result;    /* "ok", "failed", "passed" */
        const char *error;     /* NULL: none */
        const char *verify;    /* NULL: no complaint */
        const char *note;      /* NULL: none */
};

void tls_event_write(const struct intercept *ic, const struct tls_event *what);

/* Remember what the origin's certificate says for its events; it sent chain_len certificates. */
void tls_event_keep_names(struct intercept *ic, const X509 *cert, int chain_len);

/* Remember whose certificate would have followed after last, where it was neither sent nor is
 * trusted; and, if last says so, who has issued that one and where it can be had. */
void tls_event_keep_missing(struct intercept *ic, const X509 *last);

#endif
