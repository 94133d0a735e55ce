/* Explicit clients; see explicit.h. */
#include "net/explicit.h"
#include "net/door.h"
#include "net/forward.h"
#include "net/forward_head.h"
#include "net/front.h"
#include "net/head.h"
#include "net/reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A proxy on the way is asked as the client asked us. */
static void keep_for_proxies(struct flow *flow, const struct head *head)
{
        size_t len;
        FILE *out = flow->choices != NULL ? open_memstream(&flow->connect_fields, &len) : NULL;

        if (out == NULL)
                return;
        forward_print_connect(out, head, flow->relay->via);
        fclose(out);
}

/* Choose the way and start dialling. */
void explicit_go(struct flow *flow, const struct authority *to, bool plain, const struct head *head)
{
        const struct head_field *auth = head_find(head, "Proxy-Authorization");
        char *value = auth != NULL ? strndup(auth->value.at, auth->value.len) : NULL;

        if (!front_target(flow, to->host, to->port, plain))
                reply_refuse(flow, 403, "tapline: %s port %u is this relay itself.", to->host,
                             to->port);
        else {
                keep_for_proxies(flow, head);
                flow_dial(flow, plain, flow->via != NULL ? value : NULL);
        }
        free(value);
}

static void do_connect(struct flow *flow, const struct head *head)
{
        struct authority to;
        uint64_t length = 0;
        int stated = head_content_length(head, &length);

        flow->kind = FLOW_CONNECT;
        flow->may_keep = forward_client_persists(head) && flow->head_len == head->len;
        if (!authority_parse(head->target, 0, &to))
                reply_refuse(flow, 400, "tapline: CONNECT needs HOST:PORT, and %.*s is not that.",
                             (int)(head->target.len < 200 ? head->target.len : 200),
                             head->target.at);
        else if (stated == -EINVAL || (stated == 0 && length > 0) ||
                 head_find(head, "Transfer-Encoding") != NULL)
                reply_refuse(flow, 400, "tapline: a CONNECT request has no content.");
        else if (!forward_is_no_loop(flow, head, to.host))
                return;
        else if (side_queue(&flow->server, flow->head + head->len, flow->head_len - head->len) < 0)
                reply_refuse(flow, 502, "tapline: out of memory.");
        else
                explicit_go(flow, &to, false, head);
}

static bool has_scheme(struct text target, const char *scheme)
{
        size_t len = strlen(scheme);

        return target.len > len && strncasecmp(target.at, scheme, len) == 0;
}

static void dispatch(struct flow *flow, const struct head *head)
{
        flow_limit(flow, 0);
        if (head_count(head, "Host") > 1)
                reply_refuse(flow, 400, "tapline: the request has more than one Host field.");
        else if (text_is(head->method, "CONNECT") && flow->server.fd >= 0)
                forward_next_flow(flow, &(struct flow_end){"client", "eof", "closed", 0});
        else if (text_is(head->method, "CONNECT"))
                do_connect(flow, head);
        else if (has_scheme(head->target, "http://"))
                forward_request(flow, head);
        else if (text_is(head->method, "OPTIONS") && text_is(head->target, "*"))
                reply_last_hop(flow, head); /* about this relay, not about an origin */
        else if (has_scheme(head->target, "https://"))
                reply_refuse(flow, 400, "tapline: use CONNECT for https:// URLs.");
        else if (memchr(head->target.at, ':', head->target.len) != NULL &&
                 head->target.at[0] != '/')
                reply_refuse(flow, 501, "tapline: only http:// URLs and CONNECT are served here.");
        else
                reply_refuse(flow, 400,
                             "tapline: this is a proxy: ask with a full URL or with CONNECT.");
}

/* Not HTTP/1: its elders and successors get to know what is spoken here. */
static void refuse_other(struct flow *flow)
{
        static const char preface[] = "PRI * HTTP/2.0\r\n";

        if (flow->head_len >= sizeof preface - 1 &&
            memcmp(flow->head, preface, sizeof preface - 1) == 0)
                reply_refuse(flow, 505, "tapline: HTTP/2 is not spoken here, only HTTP/1.");
        else
                reply_refuse(flow, 400, "tapline: this is not an HTTP/1 request.");
}

static void parse_head(struct flow *flow)
{
        static _Thread_local struct head head;

        switch (head_parse_request(flow->head, flow->head_len, &head)) {
        case HEAD_MORE:
                return;
        case HEAD_OK:
                if (door_login_http(flow, &head))
                        dispatch(flow, &head);
                return;
        case HEAD_BAD:
                refuse_other(flow);
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
        cap = cap < 2 * HEAD_MAX ? cap : 2 * HEAD_MAX;
        more = cap > flow->head_cap ? realloc(flow->head, cap) : NULL;
        if (more == NULL)
                return false;
        flow->head = more;
        flow->head_cap = cap;
        return true;
}

/* Between two requests: the end of the last answer may still have to go out, the upstream may go,
 * and the next request may be there already. Returns false if there is nothing to read for. */
static bool resume(struct flow *flow)
{
        side_flush(&flow->client);
        if (flow->server.fd >= 0)
                forward_idle(flow);
        if (flow->state == FLOW_HEAD && flow->unread) {
                flow->unread = false;
                flow_limit(flow, (uint64_t)flow->options->limits.head_ms);
                parse_head(flow);
        }
        return flow->state == FLOW_HEAD;
}

/* A client that has ended before its first request, or within one. */
static void client_ended(struct flow *flow, int error)
{
        bool idle = flow_is_idle(flow);

        if (error == 0)
                error = flow->client.error; /* told before, and once only */
        flow_close(flow,
                   &(struct flow_end){"client", error != 0 ? "reset" : "eof",
                                      idle ? "closed" : "closed before its request was complete",
                                      error});
}

void explicit_drive(struct flow *flow)
{
        if (flow->kept && !resume(flow))
                return;
        if (flow->unread) {
                flow->unread = false;
                parse_head(flow);
        }
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
                        client_ended(flow, n < 0 ? errno : 0);
                        return;
                }
                side_was_read(&flow->client, n, flow->head_cap - flow->head_len);
                if (flow_is_idle(flow))
                        flow_limit(flow, (uint64_t)flow->options->limits.head_ms);
                flow->head_len += (size_t)n;
                parse_head(flow);
        }
}
