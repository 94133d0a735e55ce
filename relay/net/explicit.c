/* Explicit clients; see explicit.h. */
#include "net/explicit.h"
#include "net/front.h"
#include "net/head.h"
#include "net/reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Choose the way and start dialling. */
static void go(struct flow *flow, const struct authority *to, bool plain, const struct head *head)
{
        const struct head_field *auth = head_find(head, "Proxy-Authorization");
        char *value = auth != NULL ? strndup(auth->value.at, auth->value.len) : NULL;

        if (!front_target(flow, to->host, to->port, plain))
                reply_refuse(flow, 403, "tapline: %s port %u is this relay itself.", to->host,
                             to->port);
        else
                flow_dial(flow, plain, flow->via != NULL ? value : NULL);
        free(value);
}

static void do_connect(struct flow *flow, const struct head *head)
{
        struct authority to;
        uint64_t length = 0;
        int stated = head_content_length(head, &length);

        flow->kind = FLOW_CONNECT;
        if (!authority_parse(head->target, 0, &to))
                reply_refuse(flow, 400, "tapline: CONNECT needs HOST:PORT, and %.*s is not that.",
                             (int)(head->target.len < 200 ? head->target.len : 200),
                             head->target.at);
        else if (stated == -EINVAL || (stated == 0 && length > 0) ||
                 head_find(head, "Transfer-Encoding") != NULL)
                reply_refuse(flow, 400, "tapline: a CONNECT request has no content.");
        else if (side_queue(&flow->server, flow->head + head->len, flow->head_len - head->len) < 0)
                reply_refuse(flow, 502, "tapline: out of memory.");
        else
                go(flow, &to, false, head);
}

/* Fields that end at this hop (RFC 9110 section 7.6.1). */
static bool is_hop_by_hop(const struct head *head, struct text name)
{
        static const char *const names[] = {
                "Connection",         "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
                "Proxy-Authenticate", "TE",         "Upgrade",          "Host"};
        static const char *const kept[] = {"Content-Length", "Transfer-Encoding", "Trailer"};
        char word[64];

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (text_is_nocase(name, names[i]))
                        return true;
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
                if (text_is_nocase(name, kept[i]))
                        return false;
        if (name.len >= sizeof word)
                return false;
        memcpy(word, name.at, name.len);
        word[name.len] = '\0';
        for (size_t i = 0; i < head->field_count; i++)
                if (text_is_nocase(head->fields[i].name, "Connection") &&
                    text_has_token(head->fields[i].value, word))
                        return true;
        return false;
}

/* A change of protocol (RFC 9110 section 7.8): what follows the head is a tunnel then. */
static bool is_upgrade(const struct head *head)
{
        const struct head_field *connection = head_find(head, "Connection");

        return head->minor >= 1 && connection != NULL &&
               text_has_token(connection->value, "upgrade") && head_find(head, "Upgrade") != NULL;
}

/* The request as the next hop gets it: origin-form and our Host for an origin, absolute-form for a
 * proxy; one request per connection, so "Connection: close". */
static void print_request(FILE *out, const struct head *head, struct text authority,
                          struct text path, const struct hop *via)
{
        bool no_path = path.len == 0;

        if (via != NULL)
                fprintf(out, "%.*s %.*s HTTP/1.1\r\n", (int)head->method.len, head->method.at,
                        (int)head->target.len, head->target.at);
        else
                fprintf(out, "%.*s %s%.*s HTTP/1.1\r\n", (int)head->method.len, head->method.at,
                        no_path || path.at[0] != '/' ? "/" : "", (int)path.len, path.at);
        fprintf(out, "Host: %.*s\r\n", (int)authority.len, authority.at);
        for (size_t i = 0; i < head->field_count; i++) {
                const struct head_field *f = &head->fields[i];

                if (!is_hop_by_hop(head, f->name))
                        fprintf(out, "%.*s: %.*s\r\n", (int)f->name.len, f->name.at,
                                (int)f->value.len, f->value.at);
        }
        if (is_upgrade(head))
                fprintf(out, "Via: 1.1 tapline\r\nConnection: Upgrade\r\nUpgrade: %.*s\r\n",
                        (int)head_find(head, "Upgrade")->value.len,
                        head_find(head, "Upgrade")->value.at);
        else
                fputs("Via: 1.1 tapline\r\nConnection: close\r\n", out);
}

/* How much of what follows the head belongs to this request (RFC 9112 section 6.3). Returns 0, or a
 * sentence that says why the framing cannot be trusted. */
static const char *frame_body(struct flow *flow, const struct head *head)
{
        const struct head_field *coding = head_find(head, "Transfer-Encoding");
        uint64_t length = 0;
        int stated = head_content_length(head, &length);

        if (stated == -EINVAL)
                return "Content-Length is malformed or contradicts itself";
        if (coding != NULL && (stated == 0 || head->minor == 0))
                return "Transfer-Encoding with Content-Length, or in an HTTP/1.0 request";
        if (coding != NULL && !text_is_nocase(coding->value, "chunked"))
                return "Transfer-Encoding other than chunked";
        flow->body_left = coding != NULL || is_upgrade(head) ? UINT64_MAX : length;
        return NULL;
}

static char *proxy_authorization(const struct hop *via, const struct head *head)
{
        const struct head_field *own = head_find(head, "Proxy-Authorization");

        if (via == NULL)
                return NULL;
        if (via->credentials != NULL)
                return upstream_basic(via->credentials);
        return own != NULL ? strndup(own->value.at, own->value.len) : NULL;
}

static int queue_forward(struct flow *flow, const struct head *head, struct text authority,
                         struct text path, const struct hop *via)
{
        char *text = NULL, *auth = proxy_authorization(via, head);
        size_t len = 0, rest = flow->head_len - head->len;
        FILE *out = open_memstream(&text, &len);
        int result = -ENOMEM;

        if (out == NULL)
                return result;
        print_request(out, head, authority, path, via);
        if (auth != NULL)
                fprintf(out, "Proxy-Authorization: %s\r\n", auth);
        fputs("\r\n", out);
        rest = rest < flow->body_left ? rest : (size_t)flow->body_left;
        fwrite(flow->head + head->len, 1, rest, out);
        fclose(out);
        if (flow->body_left != UINT64_MAX)
                flow->body_left -= rest;
        if (text != NULL)
                result = side_queue(&flow->server, text, len);
        free(text);
        free(auth);
        return result;
}

static void do_forward(struct flow *flow, const struct head *head)
{
        const char *rest = head->target.at + 7, *end = head->target.at + head->target.len, *problem;
        size_t len = 0;
        struct text authority, path;
        struct authority to;

        flow->kind = FLOW_HTTP;
        while (rest + len < end && strchr("/?#", rest[len]) == NULL)
                len++;
        authority = (struct text){rest, len};
        path = (struct text){rest + len, (size_t)(end - rest) - len};
        problem = frame_body(flow, head);
        if (problem != NULL) {
                reply_refuse(flow, 400, "tapline: the request was refused: %s.", problem);
                return;
        }
        if (!authority_parse(authority, 80, &to)) {
                reply_refuse(flow, 400, "tapline: the URL has no valid host and port.");
                return;
        }
        flow_choose(flow,
                    routing_list(flow->relay->options->routing, true, to.host, NULL, to.port));
        if (queue_forward(flow, head, authority, path, upstream_http(flow->via)) < 0)
                reply_refuse(flow, 502, "tapline: out of memory.");
        else
                go(flow, &to, true, head);
}

static void dispatch(struct flow *flow, const struct head *head)
{
        flow_limit(flow, 0);
        flow->client.received = flow->head_len - (text_is(head->method, "CONNECT") ? head->len : 0);
        if (head_count(head, "Host") > 1) {
                reply_refuse(flow, 400, "tapline: the request has more than one Host field.");
                return;
        }
        if (text_is(head->method, "CONNECT"))
                do_connect(flow, head);
        else if (head->target.len > 7 && strncasecmp(head->target.at, "http://", 7) == 0)
                do_forward(flow, head);
        else if (head->target.len > 8 && strncasecmp(head->target.at, "https://", 8) == 0)
                reply_refuse(flow, 400, "tapline: use CONNECT for https:// URLs.");
        else if (memchr(head->target.at, ':', head->target.len) != NULL &&
                 head->target.at[0] != '/')
                reply_refuse(flow, 501, "tapline: only http:// URLs and CONNECT are served here.");
        else
                reply_refuse(flow, 400,
                             "tapline: this is a proxy: ask with a full URL or with CONNECT.");
}

static void parse_head(struct flow *flow)
{
        static _Thread_local struct head head;

        switch (head_parse_request(flow->head, flow->head_len, &head)) {
        case HEAD_MORE:
                return;
        case HEAD_OK:
                dispatch(flow, &head);
                return;
        case HEAD_BAD:
                reply_refuse(flow, 400, "tapline: this is not an HTTP/1 request.");
                return;
        case HEAD_LONG_LINE:
                reply_refuse(flow, 414, "tapline: the request line is longer than %d bytes.",
                             HEAD_LINE_MAX);
                return;
        case HEAD_TOO_LONG:
                reply_refuse(
                        flow, 431,
                        "tapline: the head is longer than %d bytes or has more than %d fields.",
                        HEAD_MAX, HEAD_FIELDS_MAX);
                return;
        }
}

static bool head_room(struct flow *flow)
{
        size_t cap = flow->head_cap != 0 ? flow->head_cap * 4 : 1024;
        char *more;

        if (flow->head_len < flow->head_cap)
                return true;
        more = cap <= 2 * HEAD_MAX ? realloc(flow->head, cap) : NULL;
        if (more == NULL)
                return false;
        flow->head = more;
        flow->head_cap = cap;
        return true;
}

void explicit_drive(struct flow *flow)
{
        while (flow->state == FLOW_HEAD) {
                ssize_t n;

                if (!head_room(flow)) {
                        reply_refuse(flow, 431, "tapline: the head is too long.");
                        return;
                }
                n = recv(flow->client.fd, flow->head + flow->head_len,
                         flow->head_cap - flow->head_len, 0);
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        flow_close(flow,
                                   &(struct flow_end){"client", n < 0 ? "reset" : "eof",
                                                      "closed before its request was complete",
                                                      n < 0 ? errno : 0});
                        return;
                }
                flow->head_len += (size_t)n;
                parse_head(flow);
        }
}
