/* What the library's messages mean: turns each into a flow, an answer or an event. control.c has
 * checked length and sender; here every field is checked before it is believed. */
#ifndef NET_MESSAGE_H
#define NET_MESSAGE_H

#include "net/flow.h"

/* Shortest packet of a type (enum wire_type); SIZE_MAX for an unknown one. */
size_t message_min_len(unsigned type);

/* Is this one message of ours, of a known type, complete and not more? */
bool message_is_whole(const void *packet, size_t len);

/* A connect(): start a flow. NULL: the program is to connect by itself (recorded). */
struct flow *message_dial(struct relay *relay, pid_t pid, const struct wire_dial *dial);

/* The program's descriptor is connected to us. */
void message_join(struct flow *flow, const struct wire_join *join);

/* State and original destination of the flow with this client port. */
void message_peer(struct relay *relay, const struct wire_join *question,
                  struct wire_verdict *verdict);

/* The record's word for enum wire_uncovered_reason; NULL: none that is reported. */
const char *message_uncovered_reason(unsigned reason);

/* An address that stands for a name (madeup.h); state UNKNOWN: none. */
void message_name(struct relay *relay, const struct wire_name *question, size_t len,
                  struct wire_verdict *verdict);

/* HELLO, LOOKUP, FILE, TAP, UNCOVERED. */
void message_report(struct relay *relay, pid_t pid, const void *packet, size_t len);

#endif
