/* What is told and asked about the lookup of a name: the message that says which name belongs to
 * which addresses, and the relay's address for a name that nobody here knows. Used by the hooks of
 * addrinfo.c and hosts.c. */
#ifndef PRELOAD_LOOKUP_H
#define PRELOAD_LOOKUP_H

#include "tapline_wire.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>

enum { LOOKUP_ADDRESSES_MAX = 32 };

struct lookup_packet {
        struct wire_lookup lookup;
        char rest[NI_MAXHOST + LOOKUP_ADDRESSES_MAX * sizeof(struct wire_addr)];
};

/* Is anything asked of anybody for this name (which may be NULL), and told? Not for a literal. */
bool lookup_is_one(const char *name);

int64_t lookup_now_us(void);

/* The message: begin, add each address (a second time changes nothing), report. result: an EAI_*;
 * error: the errno with EAI_SYSTEM. Nothing is waited for. */
void lookup_begin(struct lookup_packet *packet, const char *name);
void lookup_add(struct lookup_packet *packet, const struct wire_addr *address);
void lookup_report(struct lookup_packet *packet, int result, int error, int64_t start_us);

/* An answer that others further on may know better. */
bool lookup_is_unknown(int result);

/* Ask the relay for an address of family (or AF_UNSPEC) that stands for name: it will know where a
 * connection to it is to go. Returns false if there is none. Waits CONTROL_STALL_MS at most. */
bool lookup_made_up(const char *name, int family, struct wire_addr *out);

#endif
