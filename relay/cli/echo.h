/* What -v prints: each event as one line in words, on standard error, as it is recorded. */
#ifndef CLI_ECHO_H
#define CLI_ECHO_H

#include <stddef.h>

/* For record_echo(): line is an event's JSON. One write(2), so that the lines of the supervisor and
 * of the relay do not mix. */
void echo_event(const char *line, size_t len);

#endif
