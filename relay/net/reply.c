/* The relay's own answers; see reply.h. */
#include "net/reply.h"
#include "net/forward.h"
#include "net/forward_head.h"
#include "net/head.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void reply_established(struct flow *flow)
{
        static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";

        side_queue(&flow->client, established, sizeof established - 1);
}

static const char *reason_phrase(unsigned status)
{
        static const struct {
                unsigned status;
                const char *phrase;
        } phrases[] = {
                {200, "OK"},
                {400, "Bad Request"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {407, "Proxy Authentication Required"},
                {408, "Request Timeout"},
                {414, "URI Too Long"},
                {429, "Too Many Requests"},
                {431, "Request Header Fields Too Large"},
                {501, "Not Implemented"},
                {502, "Bad Gateway"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"},
                {505, "HTTP Version Not Supported"},
        };

        for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
                if (phrases[i].status == status)
                        return phrases[i].phrase;
        return "Error";
}

struct answer {
        unsigned status;
        const char *error;   /* RFC 9209 error type, or NULL */
        const char *details; /* for a person, or NULL */
        unsigned received;   /* the status that came from the upstream, or 0 */
        const char *type;
        const char *allow;     /* the field, or NULL */
        const char *challenge; /* Proxy-Authenticate, or NULL */
        const char *body;
        size_t body_len;
        bool to_head;              /* the request's method was HEAD */
        bool keeps;                /* the client's connection stays */
        const struct head *copied; /* fields of it that go to the client, or NULL */
        const char *via;           /* our name in that case, or NULL */
};

/* Fields of a proxy's refusal that are the client's: all that do not end at a hop, and the
 * challenges. Its length is ours to say, for its body may have been cut. */
static bool is_passed_on(const struct head *head, struct text name)
{
        static const char *const ended[] = {"Connection",       "Keep-Alive",        "TE",
                                            "Proxy-Connection", "Transfer-Encoding", "Trailer",
                                            "Upgrade",          "Content-Length"};
        char word[64];

        for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
                if (text_is_nocase(name, ended[i]))
                        return false;
        snprintf(word, sizeof word, "%.*s", (int)name.len, name.at);
        return text_is_nocase(name, "Proxy-Authenticate") ||
               !head_has_token(head, "Connection", word);
}

/* A string of RFC 8941 section 3.3.3. */
static void print_string(FILE *out, const char *text)
{
        fputc('"', out);
        for (; *text != '\0' && *text != '\n'; text++) {
                if (*text == '"' || *text == '\\')
                        fputc('\\', out);
                fputc(*text >= 0x20 && *text < 0x7f ? *text : '?', out);
        }
        fputc('"', out);
}

static void print_proxy_status(FILE *out, const struct answer *a)
{
        fputs("Proxy-Status: tapline", out);
        if (a->error != NULL)
                fprintf(out, "; error=%s", a->error);
        if (a->received != 0)
                fprintf(out, "; received-status=%u", a->received);
        if (a->details != NULL) {
                fputs("; details=", out);
                print_string(out, a->details);
        }
        fputs("\r\n", out);
}

static void print_answer(FILE *out, const struct answer *a)
{
        if (a->copied != NULL && a->copied->reason.len > 0)
                fprintf(out, "HTTP/1.1 %u %.*s\r\n", a->status, (int)a->copied->reason.len,
                        a->copied->reason.at);
        else
                fprintf(out, "HTTP/1.1 %u %s\r\n", a->status, reason_phrase(a->status));
        for (size_t i = 0; a->copied != NULL && i < a->copied->field_count; i++) {
                const struct head_field *f = &a->copied->fields[i];

                if (is_passed_on(a->copied, f->name))
                        fprintf(out, "%.*s: %.*s\r\n", (int)f->name.len, f->name.at,
                                (int)f->value.len, f->value.at);
        }
        if (a->via != NULL)
                fprintf(out, "Via: 1.%u %s\r\n", a->copied->minor, a->via);
        if (a->type != NULL)
                fprintf(out, "Content-Type: %s\r\n", a->type);
        if (a->allow != NULL)
                fprintf(out, "Allow: %s\r\n", a->allow);
        if (a->challenge != NULL)
                fprintf(out, "Proxy-Authenticate: %s\r\n", a->challenge);
        if (a->error != NULL || a->received != 0)
                print_proxy_status(out, a);
        fprintf(out, "Content-Length: %zu\r\n%s\r\n", a->body_len,
                a->keeps ? "" : "Connection: close\r\n");
        if (!a->to_head)
                fwrite(a->body, 1, a->body_len, out);
}

static void send_answer(struct flow *flow, struct answer *a, int error)
{
        struct flow_end end = {"relay", "refused", reason_phrase(a->status), error};
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        a->to_head |= flow->forward != NULL && flow->forward->to_head;
        if (out != NULL) {
                print_answer(out, a);
                fclose(out);
        }
        if (a->keeps && side_queue(&flow->client, text, text != NULL ? len : 0) == 0)
                forward_next_flow(flow, &end);
        else
                flow_answer(flow, text, text != NULL ? len : 0, &end);
        free(text);
}

__attribute__((format(printf, 4, 0))) static void say(struct flow *flow, unsigned status,
                                                      const char *type, const char *format,
                                                      va_list list)
{
        static const char name[] = "tapline: ";
        struct answer a = {.status = status, .error = type, .type = "text/plain; charset=utf-8"};
        char body[512];

        vsnprintf(body, sizeof body - 1, format, list);
        a.details = strncmp(body, name, sizeof name - 1) == 0 ? body + sizeof name - 1 : body;
        strcat(body, "\n");
        a.body = body;
        a.body_len = strlen(body);
        send_answer(flow, &a, 0);
}

void reply_refuse(struct flow *flow, unsigned status, const char *format, ...)
{
        va_list list;

        va_start(list, format);
        say(flow, status, status == 403 ? "http_request_denied" : "http_request_error", format,
            list);
        va_end(list);
}

void reply_fail(struct flow *flow, unsigned status, const char *type, const char *format, ...)
{
        va_list list;

        va_start(list, format);
        say(flow, status, type, format, list);
        va_end(list);
}

void reply_ask_for_login(struct flow *flow, const struct head *head)
{
        struct body body;
        bool whole = flow->head_len == head->len && body_of_request(head, &body) == NULL &&
                     body_is_done(&body);
        struct answer a = {.status = 407,
                           .type = "text/plain; charset=utf-8",
                           .challenge = "Basic realm=\"tapline\", charset=\"UTF-8\"",
                           .body = "tapline: this relay wants a user name and a password\n",
                           .to_head = text_is(head->method, "HEAD"),
                           .keeps = whole && forward_client_persists(head) &&
                                    !flow->relay->draining};

        a.body_len = strlen(a.body);
        if (flow->forward != NULL)
                flow->forward->used = head->len; /* that of an earlier request */
        send_answer(flow, &a, 0);
}

/* The request as it came, without what is secret (RFC 9110 section 9.3.8). */
static void print_trace(FILE *out, const struct head *head)
{
        fprintf(out, "%.*s %.*s HTTP/1.%u\r\n", (int)head->method.len, head->method.at,
                (int)head->target.len, head->target.at, head->minor);
        for (size_t i = 0; i < head->field_count; i++) {
                const struct head_field *f = &head->fields[i];

                if (!text_is_nocase(f->name, "Proxy-Authorization") &&
                    !text_is_nocase(f->name, "Authorization") && !text_is_nocase(f->name, "Cookie"))
                        fprintf(out, "%.*s: %.*s\r\n", (int)f->name.len, f->name.at,
                                (int)f->value.len, f->value.at);
        }
        fputs("\r\n", out);
}

void reply_last_hop(struct flow *flow, const struct head *head)
{
        struct answer a = {.status = 200};
        char *text = NULL;
        size_t len = 0;
        FILE *out = text_is(head->method, "TRACE") ? open_memstream(&text, &len) : NULL;

        if (out != NULL) {
                print_trace(out, head);
                fclose(out);
                a.type = "message/http";
        } else {
                a.allow = "CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE";
        }
        a.body = text != NULL ? text : "";
        a.body_len = text != NULL ? len : 0;
        send_answer(flow, &a, 0);
        free(text);
}

void reply_head_timeout(struct flow *flow)
{
        if (flow->head_len > 0)
                reply_refuse(flow, 408, "tapline: the request's head did not arrive in time.");
        else if (flow->kept)
                flow_close(flow, &(struct flow_end){"relay", "eof", "closed while idle", 0});
        else
                flow_close(flow,
                           &(struct flow_end){"client", "error", "no request came", ETIMEDOUT});
}

/* RFC 9209 error types of a connection that did not come about, be it ours or a SOCKS proxy's. */
static const char *connect_type(const struct dial_result *result)
{
        switch (result->error) {
        case ETIMEDOUT:
                return "connection_timeout";
        case ECONNREFUSED:
                return result->stage == DIAL_CONNECT ? "connection_refused"
                                                     : "destination_unavailable";
        case ECONNRESET:
                return "connection_terminated";
        case ENETUNREACH:
        case EHOSTUNREACH:
                return "destination_ip_unroutable";
        default:
                return "destination_unavailable";
        }
}

static const char *http_proxy_type(const struct dial_result *result)
{
        if (result->proxy_status != 0)
                return "http_protocol_error";
        if (result->error == ETIMEDOUT)
                return "http_response_timeout";
        return result->error == ECONNRESET ? "connection_terminated" : "http_protocol_error";
}

/* RFC 9209 error type for a failed dial. */
static const char *error_type(const struct dial_result *result)
{
        if (result->own)
                return "proxy_loop_detected";
        if (result->auth_wanted)
                return "proxy_configuration_error";
        if (result->tls_failed)
                return strstr(result->text, "certificate") != NULL ? "tls_certificate_error"
                                                                   : "tls_protocol_error";
        switch (result->stage) {
        case DIAL_RESOLVE:
                return result->error == ETIMEDOUT ? "dns_timeout" : "dns_error";
        case DIAL_CONNECT:
                return connect_type(result);
        case DIAL_PROXY:
                return result->hop == NULL || hop_is_http(result->hop) ? http_proxy_type(result)
                                                                       : connect_type(result);
        case DIAL_DONE:
                break;
        }
        return "proxy_internal_error";
}

/* The proxy's own words, with its status; a redirection makes no sense here and becomes a 502. */
static bool pass_refusal(struct flow *flow, const struct dial_result *result)
{
        static _Thread_local struct head head;
        struct answer a = {.status = result->proxy_status,
                           .received = result->proxy_status,
                           .copied = &head,
                           .via = flow->relay->via};

        if (result->proxy_status < 400 ||
            head_parse_response(result->proxy_head, result->proxy_head_len, &head) != HEAD_OK)
                return false;
        a.keeps = result->proxy_status == 407 && flow->may_keep && !flow->relay->draining;
        a.body = result->after != NULL ? result->after : "";
        a.body_len = result->after_len;
        send_answer(flow, &a, result->error);
        return true;
}

/* A proxy that leads elsewhere (a login page): never followed, but said. */
static void print_location(const struct dial_result *result, char *out, size_t cap)
{
        static _Thread_local struct head head;
        const struct head_field *f;

        out[0] = '\0';
        if (result->proxy_status / 100 != 3 ||
            head_parse_response(result->proxy_head, result->proxy_head_len, &head) != HEAD_OK ||
            (f = head_find(&head, "Location")) == NULL)
                return;
        snprintf(out, cap, ", which leads to %.*s", (int)f->value.len, f->value.at);
}

static void dial_failed(struct flow *flow, const struct dial_result *result)
{
        struct answer a = {.type = "text/plain; charset=utf-8",
                           .status = result->error == ETIMEDOUT ? 504 : 502,
                           .error = error_type(result),
                           .received = result->proxy_status,
                           .details = result->text};
        char body[800], location[400];

        if (pass_refusal(flow, result))
                return;
        print_location(result, location, sizeof location);
        snprintf(body, sizeof body, "tapline: %s%s.\n", result->text, location);
        a.body = body;
        a.body_len = strlen(body);
        send_answer(flow, &a, result->error);
}

void reply_dialled(struct flow *flow, const struct dial_result *result)
{
        if (result->stage == DIAL_DONE)
                flow_start(flow);
        else
                dial_failed(flow, result);
}
