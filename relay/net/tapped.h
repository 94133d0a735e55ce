/* HTTP seen by the library's TLS tap: ties each head to its connection and records it. The relay's
 * own observation comes first: for a flow that it inspects the tap's copy is dropped. */
#ifndef NET_TAPPED_H
#define NET_TAPPED_H

#include "net/flow.h"

struct tapped_table;

struct tapped_table *tapped_table_new(void);
void tapped_table_free(struct tapped_table *table);

/* A WIRE_TAP packet, its length checked against struct wire_tap. */
void tapped_message(struct relay *relay, pid_t pid, const struct wire_tap *tap, size_t len);

#endif
