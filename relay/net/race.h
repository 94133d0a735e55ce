/* Connecting to one of several addresses of a host (RFC 8305): the families take turns, a new
 * attempt starts every 250 ms or as soon as one has failed, the first that is connected wins. */
#ifndef NET_RACE_H
#define NET_RACE_H

#include "net/dial.h"

enum { RACE_MAX = 16 };

/* What became of one address. */
struct race_try {
        char address[64]; /* literal */
        int error;        /* errno; 0: it won, or was not needed any more */
};

struct race_result {
        int fd;    /* connected, non-blocking; -1: none. The callee takes it. */
        int error; /* of the first address, which is the preferred one; of a later one if there is
                      no route to that */
        bool own;  /* an address was not tried because it leads to ourselves */
        const char *address;          /* the winner's, or the one whose error it is */
        const struct race_try *tries; /* those that were begun, in order; borrowed */
        size_t try_count;
};

struct race_setup {
        const struct sockaddr_storage *addresses; /* in the order of getaddrinfo(3); copied */
        size_t count;                             /* from 1 to RACE_MAX */
        const struct dial_manner *manner;         /* of the sockets, or NULL; copied */
        bool (*is_own)(void *ctx, const struct wire_addr *to); /* NULL: none is */
        void *own_ctx;
        unsigned total_ms; /* for all of it */
        bool at_once;      /* race_begin may call done with what the first look shows */
};

struct race;

/* Make one; the setup is copied. Returns NULL when out of memory. race_begin starts it; done is
 * called once, possibly from there, and the race then frees itself. race_cancel ends it without
 * calling done. */
struct race *race_new(struct loop *loop, const struct race_setup *setup,
                      void (*done)(void *ctx, struct race_result *result), void *ctx);
void race_begin(struct race *r);
void race_cancel(struct race *r);

/* Put the families in turns, the first one's first (RFC 8305 section 4). For race_new, and for
 * tests. */
void race_order(struct sockaddr_storage *addresses, size_t count);

#endif
