/* The record's HTTP as an archive (HAR 1.2), for browsers' and others' viewers. One entry for each
 * request, and one with status 0 for each connection that was not made. Bodies are not in the
 * record; what HAR has no name for begins with an underscore. */
#include "explain/answers.h"

#include <errno.h>
#include <string.h>

/* What an entry needs besides its request. */
struct exchange {
        int64_t id;
        const json_t *response, *body;
        UT_hash_handle hh;
};

static double ms_of(const json_t *event, const char *key, double fallback)
{
        const json_t *value = json_object_get(event, key);

        return json_is_number(value) ? json_number_value(value) : fallback;
}

static json_t *text_or(const json_t *event, const char *key, const char *fallback)
{
        const char *text = event_get_str(event, key);

        return json_string(text != NULL ? text : fallback);
}

static struct exchange *exchange_of(struct exchange **all, const json_t *event, bool *oom)
{
        int64_t id = event_get_int(event, "request", -1);
        struct exchange *x = NULL;

        if (id < 0)
                return NULL;
        HASH_FIND(hh, *all, &id, sizeof id, x);
        if (x != NULL)
                return x;
        x = calloc(1, sizeof *x);
        if (x != NULL) {
                x->id = id;
                HASH_ADD(hh, *all, id, sizeof x->id, x);
                if (x->hh.tbl != NULL)
                        return x;
        }
        *oom = true;
        free(x);
        return NULL;
}

static struct exchange *gather(const struct record_events *events, bool *oom)
{
        struct exchange *all = NULL;

        for (size_t i = 0; i < events->count; i++) {
                const json_t *event = events->items[i];
                bool response = event_is(event, "http.response");
                struct exchange *x = response || event_is(event, "http.body")
                                             ? exchange_of(&all, event, oom)
                                             : NULL;

                if (x != NULL && response)
                        x->response = event;
                else if (x != NULL)
                        x->body = event;
        }
        return all;
}

static json_t *headers_of(const json_t *event)
{
        const json_t *headers = json_object_get(event, "headers");
        json_t *list = json_array();

        for (size_t i = 0; i < json_array_size(headers); i++) {
                const json_t *pair = json_array_get(headers, i);
                const char *name = json_string_value(json_array_get(pair, 0));
                const char *value = json_string_value(json_array_get(pair, 1));

                if (name != NULL && value != NULL)
                        json_array_append_new(
                                list, json_pack("{s:s, s:s}", "name", name, "value", value));
        }
        return list;
}

/* "a=1&b" as a list; the record has it masked already. */
static json_t *query_of(const char *url)
{
        const char *at = url != NULL ? strchr(url, '?') : NULL;
        json_t *list = json_array();

        while (at != NULL && *at != '\0' && *at != '#') {
                size_t len = strcspn(++at, "&#"), name = strcspn(at, "=&#");
                size_t value = name < len ? name + 1 : len;

                if (len > 0)
                        json_array_append_new(list, json_pack("{s:s%, s:s%}", "name", at, name,
                                                              "value", at + value, len - value));
                at += len;
        }
        return list;
}

static json_t *version_of(const json_t *event)
{
        const char *version = event_get_str(event, "version");

        return json_sprintf("HTTP/%s", version != NULL ? version : "?");
}

static json_t *request_json(const json_t *event)
{
        return json_pack("{s:o, s:o, s:o, s:[], s:o, s:o, s:i, s:i}", "method",
                         text_or(event, "method", ""), "url", text_or(event, "url", ""),
                         "httpVersion", version_of(event), "cookies", "headers", headers_of(event),
                         "queryString", query_of(event_get_str(event, "url")), "headersSize", -1,
                         "bodySize", -1);
}

static json_t *response_json(const struct exchange *x)
{
        const json_t *event = x != NULL ? x->response : NULL;
        const char *type = answers_header(event, "Content-Type");
        const char *location = answers_header(event, "Location");
        json_int_t bytes = x != NULL ? event_get_int(x->body, "bytes", -1) : -1;

        return json_pack("{s:I, s:o, s:o, s:[], s:o, s:{s:I, s:s}, s:s, s:i, s:I}", "status",
                         (json_int_t)event_get_int(event, "status", 0), "statusText",
                         text_or(event, "reason", ""), "httpVersion", version_of(event), "cookies",
                         "headers", headers_of(event), "content", "size", bytes >= 0 ? bytes : 0,
                         "mimeType", type != NULL ? type : "", "redirectURL",
                         location != NULL ? location : "", "headersSize", -1, "bodySize", bytes);
}

/* HAR has connect include ssl; what is not known is -1. */
static json_t *timings_json(double connect, double wait, double receive)
{
        return json_pack("{s:i, s:i, s:f, s:i, s:f, s:f, s:i}", "blocked", -1, "dns", -1, "connect",
                         connect, "send", 0, "wait", wait, "receive", receive, "ssl", -1);
}

static json_t *entry_of(const json_t *event, const struct exchange *x)
{
        double wait = x != NULL ? ms_of(x->response, "wait_ms", 0) : 0;
        double receive = x != NULL ? ms_of(x->body, "duration_ms", 0) : 0;
        bool cut = x != NULL && !event_get_bool(x->body, "complete", true);

        return json_pack("{s:o, s:f, s:o, s:o, s:{}, s:o, s:I, s:I, s:b}", "startedDateTime",
                         text_or(event, "time", ""), "time", wait + receive, "request",
                         request_json(event), "response", response_json(x), "cache", "timings",
                         timings_json(-1, wait, receive), "_pid",
                         (json_int_t)event_get_int(event, "pid", 0), "_flow",
                         (json_int_t)event_get_int(event, "flow", 0), "_incomplete", cut);
}

static json_t *failed_entry(const json_t *event)
{
        const char *host = event_get_str(event, "host");
        int64_t port = event_get_int(event, "port", 0);
        char *to = text_endpoint(host != NULL ? host : "?", port);
        char *url = to != NULL ? text_format("%s://%s/", port == 80 ? "http" : "https", to) : NULL;
        json_t *entry;

        entry = json_pack("{s:o, s:f, s:{s:s, s:s, s:s, s:[], s:[], s:[], s:i, s:i}, s:o, s:{}, "
                          "s:o, s:I, s:o}",
                          "startedDateTime", text_or(event, "time", ""), "time",
                          ms_of(event, "duration_ms", 0), "request", "method", "CONNECT", "url",
                          url != NULL ? url : "", "httpVersion", "HTTP/1.1", "cookies", "headers",
                          "queryString", "headersSize", -1, "bodySize", -1, "response",
                          response_json(NULL), "cache", "timings",
                          timings_json(ms_of(event, "duration_ms", -1), 0, 0), "_pid",
                          (json_int_t)event_get_int(event, "pid", 0), "_error",
                          text_or(event, "error", "the connection failed"));
        free(url);
        free(to);
        return entry;
}

/* NULL when out of memory. */
static json_t *entries_of(const struct record_events *events)
{
        bool oom = false;
        struct exchange *all = gather(events, &oom), *x, *next;
        json_t *list = json_array();

        for (size_t i = 0; i < events->count; i++) {
                const json_t *event = events->items[i];
                int64_t id = event_get_int(event, "request", -1);

                x = NULL;
                HASH_FIND(hh, all, &id, sizeof id, x);
                if (event_is(event, "http.request"))
                        json_array_append_new(list, entry_of(event, x));
                else if (event_is(event, "upstream") && event_field_is(event, "result", "failed"))
                        json_array_append_new(list, failed_entry(event));
        }
        HASH_ITER(hh, all, x, next)
        {
                HASH_DEL(all, x);
                free(x);
        }
        if (oom) {
                json_decref(list);
                return NULL;
        }
        return list;
}

static json_t *causes_of(const struct explanation *ex)
{
        json_t *list = json_array();

        for (size_t i = 0; i < ex->finding_count; i++)
                json_array_append_new(list,
                                      json_pack("{s:s, s:s, s:s}", "code", ex->findings[i].code,
                                                "severity", severity_name(ex->findings[i].severity),
                                                "summary", ex->findings[i].summary));
        return list;
}

int report_har(const struct record_events *events, const struct explanation *ex, FILE *out)
{
        const char *version = event_get_str(events->count > 0 ? events->items[0] : NULL, "version");
        json_t *root = json_pack(
                "{s:{s:s, s:{s:s, s:s}, s:[], s:o, s:s, s:o}}", "log", "version", "1.2", "creator",
                "name", "tapline", "version", version != NULL ? version : "", "pages", "entries",
                entries_of(events), "comment", ex->summary.command, "_causes", causes_of(ex));
        int result;

        if (root == NULL)
                return -ENOMEM;
        errno = 0;
        result = json_dumpf(root, out, JSON_INDENT(1));
        json_decref(root);
        if (result < 0 || putc('\n', out) == EOF || fflush(out) != 0)
                return errno != 0 ? -errno : -EIO;
        return 0;
}
