/* Events in words: see line.h. A table has two functions for each kind of event. */
#include "explain/line.h"
#include "explain/facts.h"
#include "explain/text.h"

#include <stdlib.h>
#include <string.h>

enum { KIND_WIDTH = 17 }; /* process.uncovered */

static const char *str(const json_t *event, const char *key)
{
        const char *text = event_get_str(event, key);

        return text != NULL ? text : "";
}

static char *copy(const json_t *event, const char *key)
{
        return strdup(str(event, key));
}

/* "192.0.2.1 192.0.2.2" */
static char *joined(const json_t *array)
{
        char *all = strdup("");

        for (size_t i = 0; all != NULL && i < json_array_size(array); i++) {
                const char *item = json_string_value(json_array_get(array, i));
                char *more = text_format("%s%s%s", all, i > 0 ? " " : "", item != NULL ? item : "");

                free(all);
                all = more;
        }
        return all;
}

/* ", 3.1 ms" out of a field, or "" */
static const char *took(const json_t *event, const char *key, char room[32])
{
        const json_t *value = json_object_get(event, key);
        double ms = json_number_value(value);

        room[0] = '\0';
        if (json_is_number(value))
                snprintf(room, 32, ms < 1000 ? ", %.1f ms" : ", %.1f s",
                         ms < 1000 ? ms : ms / 1000);
        return room;
}

static char *start_subject(const json_t *event)
{
        char *command = text_command(json_object_get(event, "command"));

        if (command != NULL && *command == '\0') {
                free(command);
                return copy(event, "mode");
        }
        return command;
}

static char *start_outcome(const json_t *event)
{
        const char *upstream = event_get_str(event, "upstream");

        return text_format("tapline %s, way out %s", str(event, "version"),
                           upstream != NULL ? upstream : "direct");
}

static char *end_outcome(const json_t *event)
{
        const char *signal = event_get_str(event, "signal");
        int64_t status = event_get_int(event, "status", -1);
        char room[32];

        took(event, "duration_ms", room);
        if (signal != NULL)
                return text_format("ended by %s%s", signal, room);
        return status >= 0 ? text_format("exit status %lld%s", (long long)status, room)
                           : strdup(room[0] != '\0' ? room + 2 : "");
}

static char *process_subject(const json_t *event)
{
        char *command = text_command(json_object_get(event, "argv"));

        if (command != NULL && *command == '\0') {
                free(command);
                return copy(event, "exe");
        }
        return command;
}

static char *lookup_outcome(const json_t *event)
{
        return event_field_is(event, "result", "ok") ? joined(json_object_get(event, "addresses"))
                                                     : copy(event, "result");
}

static char *endpoint_subject(const json_t *event)
{
        const char *name = event_get_str(event, "name");

        name = name != NULL ? name : event_get_str(event, "host");
        return text_endpoint(name != NULL ? name : str(event, "address"),
                             event_get_int(event, "port", 0));
}

static char *connect_outcome(const json_t *event)
{
        const char *address = event_get_str(event, "address"),
                   *bypassed = event_get_str(event, "bypassed");

        if (event_get_str(event, "name") == NULL)
                address = NULL; /* it is the subject */
        return text_format("%s%s%s%s%s", address != NULL ? address : "",
                           address != NULL ? ", " : "", str(event, "kind"),
                           bypassed != NULL ? ", not through the relay: " : "",
                           bypassed != NULL ? bypassed : "");
}

static char *upstream_outcome(const json_t *event)
{
        const char *error = event_get_str(event, "error");
        char room[32];

        took(event, "duration_ms", room);
        if (event_field_is(event, "result", "failed"))
                return text_format(
                        "failed%s%s: %s%s", event_get_str(event, "stage") ? " at " : "",
                        str(event, "stage"),
                        error != NULL ? error : text_errno(event_get_str(event, "errno")), room);
        return text_format("%s, %s%s", str(event, "result"), str(event, "via"), room);
}

static char *tls_subject(const json_t *event)
{
        return text_format("%s %s", str(event, "side"), str(event, "sni"));
}

static char *tls_outcome(const json_t *event)
{
        static const char *const reasons[] = {"error", "verify", "alert"};
        const char *why = "";

        if (!event_field_is(event, "result", "failed"))
                return text_format("%s %s %s", str(event, "result"), str(event, "version"),
                                   str(event, "alpn"));
        for (size_t i = 0; i < 3 && *why == '\0'; i++)
                why = str(event, reasons[i]);
        return text_format("TLS failed: %s", why);
}

static char *request_subject(const json_t *event)
{
        return text_format("%s %s", str(event, "method"), str(event, "url"));
}

static char *response_subject(const json_t *event)
{
        return text_format("%lld%s%s", (long long)event_get_int(event, "status", 0),
                           event_get_str(event, "reason") != NULL ? " " : "", str(event, "reason"));
}

static char *response_outcome(const json_t *event)
{
        char room[32];

        took(event, "wait_ms", room);
        return text_format("%s%s", str(event, "url"), room);
}

static char *body_outcome(const json_t *event)
{
        long long bytes = event_get_int(event, "bytes", 0);

        if (event_get_bool(event, "complete", true))
                return text_format("%lld bytes", bytes);
        return text_format("cut off after %lld bytes: %s", bytes, str(event, "reason"));
}

static char *close_outcome(const json_t *event)
{
        return text_format("%s, %lld bytes up, %lld down", str(event, "reason"),
                           (long long)event_get_int(event, "client_to_server", 0),
                           (long long)event_get_int(event, "server_to_client", 0));
}

static char *call_subject(const json_t *event)
{
        const char *path = event_get_str(event, "path"), *path2 = event_get_str(event, "path2");

        return text_format("%s(%s%s%s%s%s%s)", str(event, "call"), path != NULL ? "\"" : "",
                           path != NULL ? path : "", path != NULL ? "\"" : "",
                           path2 != NULL ? ", \"" : "", path2 != NULL ? path2 : "",
                           path2 != NULL ? "\"" : "");
}

static char *file_outcome(const json_t *event)
{
        return text_format("%s (%s)", text_errno(event_get_str(event, "errno")),
                           str(event, "errno"));
}

static char *lock_outcome(const json_t *event)
{
        int64_t holder = event_get_int(event, "holder", 0);
        char room[32];

        took(event, "waited_ms", room);
        if (holder > 0)
                return text_format("%s, held by %s[%lld]%s", str(event, "state"),
                                   text_base(str(event, "holder_exe")), (long long)holder, room);
        return text_format("%s%s", str(event, "state"), room);
}

static char *uncovered_subject(const json_t *event)
{
        return copy(event, "target");
}

static char *reason_outcome(const json_t *event)
{
        return copy(event, "reason");
}

static char *roots_subject(const json_t *event)
{
        return copy(event, "path");
}

static char *kind_outcome(const json_t *event)
{
        return copy(event, "kind");
}

static char *name_subject(const json_t *event)
{
        return copy(event, "name");
}

static char *goaway_outcome(const json_t *event)
{
        return text_format("%s: %s", str(event, "side"), str(event, "error"));
}

static char *claim_subject(const json_t *event)
{
        return copy(event, "tool");
}

static char *claim_outcome(const json_t *event)
{
        return copy(event, "text");
}

static char *note_subject(const json_t *event)
{
        return copy(event, "note");
}

static char *finding_subject(const json_t *event)
{
        return text_format("%s %s", str(event, "severity"), str(event, "code"));
}

static char *finding_outcome(const json_t *event)
{
        return copy(event, "summary");
}

static const struct words {
        const char *kind;
        char *(*subject)(const json_t *event);
        char *(*outcome)(const json_t *event);
} words[] = {
        {"run.start", start_subject, start_outcome},
        {"process.start", process_subject, NULL},
        {"process.uncovered", uncovered_subject, reason_outcome},
        {"name.lookup", name_subject, lookup_outcome},
        {"connect", endpoint_subject, connect_outcome},
        {"upstream", endpoint_subject, upstream_outcome},
        {"tls", tls_subject, tls_outcome},
        {"tls.roots", roots_subject, kind_outcome},
        {"http.request", request_subject, NULL},
        {"http.response", response_subject, response_outcome},
        {"http.body", NULL, body_outcome},
        {"http.goaway", NULL, goaway_outcome},
        {"flow.close", endpoint_subject, close_outcome},
        {"file.failure", call_subject, file_outcome},
        {"lock.wait", call_subject, lock_outcome},
        {"tool.claim", claim_subject, claim_outcome},
        {"relay.note", note_subject, NULL},
        {"finding", finding_subject, finding_outcome},
        {"run.end", NULL, end_outcome},
};

static const struct words *words_of(const json_t *event)
{
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
                if (event_is(event, words[i].kind))
                        return &words[i];
        return NULL;
}

char *line_subject(const json_t *event)
{
        const struct words *w = words_of(event);

        return w != NULL && w->subject != NULL ? w->subject(event) : strdup("");
}

char *line_outcome(const json_t *event)
{
        const struct words *w = words_of(event);

        return w != NULL && w->outcome != NULL ? w->outcome(event) : strdup("");
}

static void print_who(FILE *out, const json_t *event)
{
        int64_t pid = event_get_int(event, "pid", 0), flow = event_get_int(event, "flow", 0);

        if (pid > 0) {
                text_print_clean(out, text_base(str(event, "exe")));
                fprintf(out, "[%lld] ", (long long)pid);
        }
        if (flow > 0)
                fprintf(out, "#%lld ", (long long)flow);
}

void line_print(FILE *out, const json_t *event)
{
        char *subject = line_subject(event), *outcome = line_outcome(event), time[16];
        const char *kind = str(event, "event");

        text_time_of_day(event, time);
        fprintf(out, "%s  ", time);
        text_print_clean(out, kind);
        fprintf(out, "%*s ", strlen(kind) < KIND_WIDTH ? KIND_WIDTH - (int)strlen(kind) : 0, "");
        print_who(out, event);
        text_print_clean(out, subject != NULL ? subject : "");
        if (subject != NULL && *subject != '\0' && outcome != NULL && *outcome != '\0')
                fputs(": ", out);
        text_print_clean(out, outcome != NULL ? outcome : "");
        putc('\n', out);
        free(subject);
        free(outcome);
}
