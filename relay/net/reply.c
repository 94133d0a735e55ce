/* The relay's own answers; see reply.h. */
#include "net/reply.h"
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
                {400, "Bad Request"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {407, "Proxy Authentication Required"},
                {408, "Request Timeout"},
                {414, "URI Too Long"},
                {431, "Request Header Fields Too Large"},
                {501, "Not Implemented"},
                {502, "Bad Gateway"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"},
        };

        for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
                if (phrases[i].status == status)
                        return phrases[i].phrase;
        return "Error";
}

struct answer {
        unsigned status;
        const char *proxy_status; /* RFC 9209 error type, or NULL */
        const char *type;
        const char *body;
        size_t body_len;
        const struct head *copied; /* fields of it that go to the client, or NULL */
};

/* Fields of a proxy's refusal that are the client's: challenges and what describes the body. */
static bool is_passed_on(struct text name)
{
        static const char *const names[] = {"Proxy-Authenticate", "Content-Type",
                                            "Content-Language", "Content-Encoding", "Retry-After"};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (text_is_nocase(name, names[i]))
                        return true;
        return false;
}

static void print_answer(FILE *out, const struct answer *a)
{
        fprintf(out, "HTTP/1.1 %u %s\r\n", a->status, reason_phrase(a->status));
        for (size_t i = 0; a->copied != NULL && i < a->copied->field_count; i++) {
                const struct head_field *f = &a->copied->fields[i];

                if (is_passed_on(f->name))
                        fprintf(out, "%.*s: %.*s\r\n", (int)f->name.len, f->name.at,
                                (int)f->value.len, f->value.at);
        }
        if (a->type != NULL)
                fprintf(out, "Content-Type: %s\r\n", a->type);
        if (a->proxy_status != NULL)
                fprintf(out, "Proxy-Status: tapline; error=%s\r\n", a->proxy_status);
        fprintf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", a->body_len);
        fwrite(a->body, 1, a->body_len, out);
}

static void send_answer(struct flow *flow, const struct answer *a, int error)
{
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        if (out != NULL) {
                print_answer(out, a);
                fclose(out);
        }
        flow_answer(flow, text, text != NULL ? len : 0,
                    &(struct flow_end){"relay", "refused", reason_phrase(a->status), error});
        free(text);
}

void reply_refuse(struct flow *flow, unsigned status, const char *format, ...)
{
        struct answer a = {.status = status, .type = "text/plain; charset=utf-8"};
        char body[512];
        va_list list;

        va_start(list, format);
        vsnprintf(body, sizeof body - 1, format, list);
        va_end(list);
        strcat(body, "\n");
        a.body = body;
        a.body_len = strlen(body);
        send_answer(flow, &a, 0);
}

void reply_head_timeout(struct flow *flow)
{
        if (flow->head_len > 0)
                reply_refuse(flow, 408, "tapline: the request's head did not arrive in time.");
        else
                flow_close(flow,
                           &(struct flow_end){"client", "error", "no request came", ETIMEDOUT});
}

/* Status and RFC 9209 error type for a failed dial. */
static void classify_failure(const struct dial_result *result, unsigned *status, const char **type)
{
        *status = result->error == ETIMEDOUT ? 504 : 502;
        if (result->stage == DIAL_RESOLVE)
                *type = "dns_error";
        else if (result->error == ETIMEDOUT)
                *type = "connection_timeout";
        else if (result->stage == DIAL_PROXY)
                *type = "http_protocol_error";
        else if (result->error == ECONNREFUSED)
                *type = "connection_refused";
        else
                *type = "destination_unavailable";
}

/* The proxy's own words, with its status; a redirection makes no sense here and becomes a 502. */
static bool pass_refusal(struct flow *flow, const struct dial_result *result)
{
        static _Thread_local struct head head;
        struct answer a = {.status = result->proxy_status,
                           .body = result->after,
                           .body_len = result->after_len,
                           .copied = &head};

        if (result->proxy_status < 400 ||
            head_parse_response(result->proxy_head, result->proxy_head_len, &head) != HEAD_OK)
                return false;
        a.proxy_status = result->proxy_status == 407 ? NULL : "http_request_denied";
        send_answer(flow, &a, result->error);
        return true;
}

static void dial_failed(struct flow *flow, const struct dial_result *result)
{
        struct answer a = {.type = "text/plain; charset=utf-8"};
        char body[400];

        if (pass_refusal(flow, result))
                return;
        classify_failure(result, &a.status, &a.proxy_status);
        snprintf(body, sizeof body, "tapline: %s.\n", result->text);
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
