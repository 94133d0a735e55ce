/* OpenTelemetry's attributes: see otlp_attributes.h. */
#include "explain/otlp_attributes.h"
#include "explain/text.h"

#include <stdlib.h>
#include <string.h>

void otlp_add_string(json_t *list, const char *key, const char *value)
{
        if (value != NULL)
                json_array_append_new(list, json_pack("{s:s, s:{s:o}}", "key", key, "value",
                                                      "stringValue", text_json(value)));
}

void otlp_add_int(json_t *list, const char *key, int64_t value)
{
        json_array_append_new(list, json_pack("{s:s, s:{s:o}}", "key", key, "value", "intValue",
                                              json_sprintf("%lld", (long long)value)));
}

void otlp_add_strings(json_t *list, const char *key, const json_t *values)
{
        json_t *items = json_array();

        for (size_t i = 0; i < json_array_size(values); i++) {
                const char *text = json_string_value(json_array_get(values, i));

                json_array_append_new(items, json_pack("{s:s}", "stringValue", text ? text : ""));
        }
        json_array_append_new(list, json_pack("{s:s, s:{s:{s:o}}}", "key", key, "value",
                                              "arrayValue", "values", items));
}

/* A field as a string; an integer field that is there. */
static void add_field(json_t *list, const char *key, const json_t *event, const char *field)
{
        otlp_add_string(list, key, event_get_str(event, field));
}

static void add_number(json_t *list, const char *key, const json_t *event, const char *field)
{
        if (json_is_integer(json_object_get(event, field)))
                otlp_add_int(list, key, event_get_int(event, field, 0));
}

const char *otlp_command_name(const json_t *start)
{
        const char *path = json_string_value(json_array_get(json_object_get(start, "command"), 0));

        return path != NULL ? text_base(path) : "command";
}

/* The known methods (RFC 9110 section 9 and RFC 5789); any other is "_OTHER", for whoever sends
 * them may make them up. */
static const char *method_of(const json_t *request)
{
        static const char *const known[] = {"GET",   "HEAD",    "POST",    "PUT",  "DELETE",
                                            "PATCH", "OPTIONS", "CONNECT", "TRACE"};

        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
                if (event_field_is(request, "method", known[i]))
                        return known[i];
        return "_OTHER";
}

static const json_t *first_event(const struct timeline *t, const struct span *span)
{
        return span->first != TIMELINE_NONE ? t->events->items[span->first] : NULL;
}

const char *otlp_span_name(const struct timeline *timeline, const struct span *span)
{
        const char *method;

        switch (span->kind) {
        case SPAN_PROCESS:
                return span->exe != NULL ? text_base(span->exe) : "process";
        case SPAN_CONNECTION:
                return "connect";
        case SPAN_REQUEST:
                method = method_of(first_event(timeline, span));
                return strcmp(method, "_OTHER") == 0 ? "HTTP" : method;
        case SPAN_LOOKUP:
                return "lookup";
        case SPAN_LOCK:
                return "lock";
        case SPAN_FILE:
        case SPAN_NOTE:
        case SPAN_KIND_COUNT:
                break;
        }
        return "event";
}

static void process_attributes(json_t *list, const struct timeline *t, const struct span *span)
{
        const json_t *event = timeline_event(t, span, "process.start");

        add_number(list, "process.parent_pid", event, "ppid");
        if (event != NULL)
                otlp_add_strings(list, "process.command_args", json_object_get(event, "argv"));
}

static void add_error(json_t *list, const struct span *span, const char *type)
{
        if (span->failed)
                otlp_add_string(list, "error.type", type != NULL ? type : "_OTHER");
}

static const char *connection_error(const struct timeline *t, const struct span *span)
{
        const json_t *upstream = timeline_event(t, span, "upstream");
        const json_t *tls = timeline_event(t, span, "tls");
        const json_t *close = timeline_event(t, span, "flow.close");

        if (event_field_is(upstream, "result", "failed") && event_get_str(upstream, "errno"))
                return event_get_str(upstream, "errno");
        if (event_field_is(tls, "result", "failed"))
                return event_get_str(tls, "alert") ? event_get_str(tls, "alert") : "tls";
        return event_get_str(close, "errno");
}

static void connection_attributes(json_t *list, const struct timeline *t, const struct span *span)
{
        const json_t *connect = timeline_event(t, span, "connect");
        const json_t *upstream = timeline_event(t, span, "upstream");
        const json_t *close = timeline_event(t, span, "flow.close");
        const char *name = event_get_str(connect, "name");

        otlp_add_string(list, "network.transport",
                        event_field_is(connect, "kind", "udp") ? "udp" : "tcp");
        otlp_add_string(list, "server.address",
                        name != NULL ? name : event_get_str(connect, "address"));
        add_number(list, "server.port", connect, "port");
        add_field(list, "network.peer.address", upstream, "address");
        add_field(list, "tapline.via", upstream, "via");
        add_number(list, "tapline.bytes.sent", close, "client_to_server");
        add_number(list, "tapline.bytes.received", close, "server_to_client");
        add_number(list, "tapline.flow", connect, "flow");
        add_error(list, span, connection_error(t, span));
}

/* The status of an answer that was an error, or what cut the answer off. */
static void add_request_error(json_t *list, const struct span *span, const json_t *answer,
                              const json_t *body)
{
        int64_t status = event_get_int(answer, "status", 0);
        char text[24];

        snprintf(text, sizeof text, "%lld", (long long)status);
        add_error(list, span, status >= 400 ? text : event_get_str(body, "reason"));
}

/* server.address and server.port, out of the URL; it has neither user nor password. */
static void add_server(json_t *list, const char *url)
{
        const char *host = url != NULL ? strstr(url, "://") : NULL;
        bool tls = url != NULL && strncmp(url, "https:", 6) == 0;
        char name[256];
        size_t len;

        if (host == NULL)
                return;
        host += 3;
        len = *host == '[' ? strcspn(++host, "]/") : strcspn(host, ":/?#");
        snprintf(name, sizeof name, "%.*s", (int)(len < 255 ? len : 255), host);
        otlp_add_string(list, "server.address", name);
        host += len + (host[len] == ']');
        otlp_add_int(list, "server.port", *host == ':' ? atoi(host + 1) : tls ? 443 : 80);
}

static void request_attributes(json_t *list, const struct timeline *t, const struct span *span)
{
        const json_t *request = timeline_event(t, span, "http.request");
        const json_t *answer = timeline_event(t, span, "http.response");
        const json_t *body = timeline_event(t, span, "http.body");
        const char *method = method_of(request);

        otlp_add_string(list, "http.request.method", method);
        if (strcmp(method, "_OTHER") == 0)
                add_field(list, "http.request.method_original", request, "method");
        add_field(list, "url.full", request, "url");
        add_server(list, event_get_str(request, "url"));
        otlp_add_string(list, "network.protocol.name", "http");
        add_field(list, "network.protocol.version", request, "version");
        add_number(list, "http.response.status_code", answer, "status");
        add_number(list, "http.response.body.size", body, "bytes");
        add_request_error(list, span, answer, body);
}

json_t *otlp_span_attributes(const struct timeline *timeline, const struct span *span)
{
        const json_t *event = first_event(timeline, span);
        json_t *list = json_array();

        if (span->pid > 0)
                otlp_add_int(list, "process.pid", span->pid);
        otlp_add_string(list, "process.executable.path", span->exe);
        if (span->kind == SPAN_PROCESS)
                process_attributes(list, timeline, span);
        else if (span->kind == SPAN_CONNECTION)
                connection_attributes(list, timeline, span);
        else if (span->kind == SPAN_REQUEST)
                request_attributes(list, timeline, span);
        if (span->kind == SPAN_LOOKUP) {
                add_field(list, "dns.question.name", event, "name");
                add_error(list, span, event_get_str(event, "result"));
        } else if (span->kind == SPAN_LOCK) {
                add_field(list, "file.path", event, "path");
                add_error(list, span, event_get_str(event, "state"));
        }
        return list;
}

json_t *otlp_moment_attributes(const json_t *event)
{
        json_t *list = json_array();

        add_field(list, "error.type", event, "errno");
        add_field(list, "file.path", event, "path");
        add_field(list, "tapline.call", event, "call");
        add_field(list, "tapline.blocked", event, "blocked");
        add_field(list, "tapline.target", event, "target");
        add_field(list, "tapline.reason", event, "reason");
        add_field(list, "tapline.note", event, "note");
        add_field(list, "tapline.text", event, "text");
        return list;
}
