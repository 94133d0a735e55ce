/* One descriptor beneath one SSL object, as an OpenSSL BIO. OpenSSL never sees its end or its
 * errors: it is told to wait, and the caller looks at eof and error. So an SSL object outlives the
 * end of the other direction, sends no alert of its own because of it, and half-close can be
 * passed on. On the client's side it also keeps what was read, and holds back what would be
 * written, until it is decided whether the connection is intercepted. */
#ifndef INSPECT_WIRE_H
#define INSPECT_WIRE_H

#include "inspect/pcap.h"

#include <openssl/bio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_mode {
        WIRE_MUTE, /* keep what is read, discard what is written */
        WIRE_HOLD, /* keep what is read, hold back what is written */
        WIRE_OPEN,
};

struct wire {
        int fd; /* borrowed; non-blocking */
        enum wire_mode mode;
        bool eof;       /* the stream has ended */
        int error;      /* errno of a failed read, or 0 */
        int broken;     /* errno of a failed write, or 0 */
        bool may_read;  /* something may have come since the last time there was nothing */
        bool may_end;   /* and its end may be behind it */
        uint64_t bytes; /* read from the descriptor */
        char *kept;     /* owned: read so far; unread by OpenSSL from kept_at on */
        size_t kept_len, kept_at, kept_cap;
        char *held; /* owned: to be written first */
        size_t held_len;
        struct pcap_leg *capture; /* owned, or NULL */
        char *cork;               /* borrowed: where writes are collected, or NULL */
        size_t cork_len;
};

enum { WIRE_CORK = 131072 + 4096 }; /* eight full TLS records with what encryption adds */

/* The method for wire_bio; one per process is enough. NULL when out of memory. Caller owns. */
BIO_METHOD *wire_method_new(void);

void wire_init(struct wire *w, int fd, enum wire_mode mode);
void wire_fini(struct wire *w); /* leaves fd alone */

/* A BIO over w, which must outlive it. Caller owns; SSL_set_bio() takes it over. */
BIO *wire_bio(struct wire *w, BIO_METHOD *method);

/* Show every byte from here on to leg, which is w's now. NULL: to nobody. */
void wire_capture(struct wire *w, struct pcap_leg *leg);

/* Keep bytes that somebody else has read before. Returns 0 or -ENOMEM. */
int wire_preload(struct wire *w, const char *data, size_t len);

/* Read once into what is kept. Returns bytes, 0 when there are none for now, or at the end. */
size_t wire_fill(struct wire *w);

/* Stop keeping, write what was held back. What does not fit goes before the next write. */
void wire_open(struct wire *w);

/* The descriptor's readiness, as epoll told it edge-triggered: without it nothing is read after the
 * first time that there was nothing. Saves the calls that would only say so again. */
void wire_ready(struct wire *w, uint32_t events);

/* Whether a read may find anything: false while epoll would have told of more, or at the end. */
bool wire_may_read(const struct wire *w);

/* Collect what is written in scratch, WIRE_CORK bytes, until it is full, or flushed, or uncorked: a
 * call of send(2) costs more than a TLS record. */
void wire_cork(struct wire *w, char *scratch);
void wire_uncork(struct wire *w);

/* Write what is held or collected. Returns true when nothing is left. */
bool wire_flush(struct wire *w);

/* Read and discard, to see the end. Returns true when it has come (eof or error). */
bool wire_drain(struct wire *w);

#endif
