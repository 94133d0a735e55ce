/* Messages that are told often go to the relay through memory (tapline_ring.h), once a process has
 * told many. Raw system calls only; errno is not touched; no allocation; any thread and a signal's
 * handler may call it. */
#ifndef PRELOAD_RING_H
#define PRELOAD_RING_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* As control_report_parts(), which it falls back to: without a ring, when that is full, or if the
 * relay is to hear of it at_once. Notes if no relay is there (control_is_absent). */
void ring_report_parts(enum wire_type type, struct iovec *parts, size_t count, bool at_once);

#endif
