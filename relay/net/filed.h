/* The library's messages about files and locks, as events. Called by message.c. */
#ifndef NET_FILED_H
#define NET_FILED_H

#include "net/relay.h"
#include "tapline_wire.h"

/* len is the packet's, at least its struct's. A message that makes no sense is dropped. */
void filed_file(struct relay *relay, pid_t pid, const struct wire_file *file, size_t len);
void filed_lock(struct relay *relay, pid_t pid, const struct wire_lock *lock, size_t len);

#endif
