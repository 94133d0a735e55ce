/* Names and attributes of OpenTelemetry's spans, by its semantic conventions; what these have no
 * name for begins with "tapline.". Used by report_otlp.c. */
#ifndef EXPLAIN_OTLP_ATTRIBUTES_H
#define EXPLAIN_OTLP_ATTRIBUTES_H

#include "explain/timeline.h"

/* Add a key and a value in the form of common.proto. A NULL string adds nothing. */
void otlp_add_string(json_t *list, const char *key, const char *value);
void otlp_add_int(json_t *list, const char *key, int64_t value);
void otlp_add_strings(json_t *list, const char *key, const json_t *values);

/* The base name of the command that was run. Borrowed. */
const char *otlp_command_name(const json_t *start);

/* Few different ones, as spans' names should be: "GET", "connect", "python3.11". Borrowed. */
const char *otlp_span_name(const struct timeline *timeline, const struct span *span);

/* Lists of attributes; the caller owns them. */
json_t *otlp_span_attributes(const struct timeline *timeline, const struct span *span);
json_t *otlp_moment_attributes(const json_t *event);

#endif
