/* Numbers about the relay for Prometheus: counters that flows add to, and the text that shows them
 * together with what can be counted when asked. */
#ifndef NET_METRICS_H
#define NET_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct relay;
struct flow;
struct flow_end;
struct dial_result;

enum {
        METRICS_KINDS = 4,  /* of enum flow_kind */
        METRICS_ENDS = 4,   /* eof, reset, error, refused */
        METRICS_CAUSES = 9, /* of a dial's end */
};

struct metrics {
        uint64_t opened[METRICS_KINDS];
        uint64_t closed[METRICS_KINDS][METRICS_ENDS];
        uint64_t dials[2][METRICS_CAUSES]; /* direct, through a proxy */
        uint64_t client_to_server, server_to_client;
        uint64_t strangers, bad_logins, waits, reloads, failed_reloads, moved;
};

/* A dial has ended; a flow has ended. */
void metrics_dialled(const struct flow *flow, const struct dial_result *result);
void metrics_closed(const struct flow *flow, const struct flow_end *end);

/* The text format, version 0.0.4. Returns a string that the caller frees, and its length; NULL when
 * out of memory. Looks into /proc/self and at every flow. */
char *metrics_text(const struct relay *relay, size_t *len);

#endif
