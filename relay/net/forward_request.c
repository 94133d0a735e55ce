/* Requests to be forwarded: checks, the way, and the request as the next hop gets it; see
 * forward.h.
 */
#include "net/auth.h"
#include "net/explicit.h"
#include "net/forward.h"
#include "net/forward_head.h"
#include "net/front.h"
#include "net/relay.h"
#include "net/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool forward_is_no_loop(struct flow *flow, const struct head *head, const char *host)
{
        if (!forward_has_passed(head, flow->relay->via))
                return true;
        reply_fail(flow, 502, "proxy_loop_detected",
                   "tapline: this request has passed this relay before: %s leads back to it.",
                   host);
        return false;
}

/* Returns false if the request has been answered with what is wrong with it. */
static bool check(struct flow *flow, const struct head *head, struct forward_target *target,
                  struct body *body)
{
        const char *problem = body_of_request(head, body);

        if (problem == NULL)
                problem = forward_host_problem(head);
        if (problem == NULL && text_is(head->method, "TRACE") && !body_is_done(body))
                problem = "a TRACE request has no content";
        if (problem != NULL) {
                reply_refuse(flow, 400, "tapline: the request was refused: %s.", problem);
                return false;
        }
        if (!forward_target_parse(head->target, target)) {
                reply_refuse(flow, 400, "tapline: the URL has no valid host and port.");
                return false;
        }
        if (!forward_is_no_loop(flow, head, target->to.host))
                return false;
        if (forward_max_forwards(head) == 0) {
                reply_last_hop(flow, head);
                return false;
        }
        return true;
}

static bool is_alive(const struct side *side)
{
        char byte;

        return side->fd >= 0 && !side->eof && recv(side->fd, &byte, 1, MSG_PEEK) < 0 &&
               errno == EAGAIN;
}

/* The connection that served the last request leads where this one wants to go. */
static bool can_reuse(const struct flow *flow, const struct upstream *choices,
                      const struct authority *to)
{
        if (flow->choices != choices || !is_alive(&flow->server))
                return false;
        return upstream_http(flow->via) != NULL ||
               (flow->port == to->port && strcmp(flow->name, to->host) == 0);
}

static char *own_credentials(const struct hop *via, const struct head *head, bool may_repeat)
{
        char *method = strndup(head->method.at, head->method.len);
        char *uri = strndup(head->target.at, head->target.len), *value = NULL;

        if (method != NULL && uri != NULL)
                value = auth_of_request(via, method, uri, may_repeat);
        free(method);
        free(uri);
        return value;
}

static char *proxy_authorization(struct flow *flow, const struct head *head, bool may_repeat)
{
        const struct head_field *own = head_find(head, "Proxy-Authorization");
        const struct hop *via = upstream_http(flow->via);
        char *token = flow->token;

        if (via == NULL)
                return NULL;
        if (token != NULL && flow->token_for == via) {
                flow->token = NULL;
                return token;
        }
        if (via->credentials != NULL)
                return own_credentials(via, head, may_repeat);
        return own != NULL ? strndup(own->value.at, own->value.len) : NULL;
}

/* The request can be sent a second time. */
static bool is_all_here(const struct flow *flow)
{
        const struct forward *f = flow->forward;

        return f->up_done || (f->up.kind == BODY_LENGTH && f->up.left <= flow->head_len - f->used);
}

static int queue_request(struct flow *flow, struct forward_request *r)
{
        char *text = NULL, *auth = proxy_authorization(flow, r->head, is_all_here(flow));
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        int result = -ENOMEM;

        if (out != NULL) {
                r->authorization = auth;
                forward_print_request(out, r);
                if (fclose(out) == 0 && text != NULL)
                        result = side_queue(&flow->server, text, len);
        }
        if (text != NULL)
                explicit_bzero(text, len);
        free(text);
        if (auth != NULL)
                explicit_bzero(auth, strlen(auth));
        free(auth);
        return result;
}

/* Make flow->forward that of this request. */
static bool begin(struct flow *flow, const struct head *head, const struct body *body)
{
        struct forward *f = flow->forward, old = {.in = NULL};

        if (f != NULL)
                old = *f;
        else if ((f = flow->forward = malloc(sizeof *f)) == NULL)
                return false;
        *f = (struct forward){.up = *body,
                              .up_done = body_is_done(body),
                              .used = head->len,
                              .head_at = flow->server.out_len,
                              .in = old.in,
                              .in_cap = old.in_cap,
                              .client_minor = head->minor,
                              .own_login = head_find(head, "Proxy-Authorization") != NULL,
                              .to_head = text_is(head->method, "HEAD"),
                              .upgrade = forward_is_upgrade(head),
                              .expects = head_find(head, "Expect") != NULL,
                              .idempotent = forward_is_idempotent(head),
                              .reused = flow->server.fd >= 0,
                              .client_closes = !forward_client_persists(head)};
        f->ended_by = f->client_closes ? "client" : NULL;
        return true;
}

/* The first request of this flow: go where it wants to go. */
static void start(struct flow *flow, const struct head *head, const struct forward_target *target)
{
        flow->kind = FLOW_HTTP;
        explicit_go(flow, &target->to, true, head);
}

void forward_request(struct flow *flow, const struct head *head)
{
        struct forward_target target;
        struct body body;
        const struct upstream *choices;
        struct forward_request r = {.head = head, .target = &target, .via = flow->relay->via};
        bool reuse;

        if (!check(flow, head, &target, &body))
                return;
        choices = front_way(flow, target.to.host, target.to.port, true);
        reuse = flow->server.fd >= 0 && can_reuse(flow, choices, &target.to);
        if (flow->server.fd >= 0 && !reuse) {
                forward_next_flow(flow, &(struct flow_end){"client", "eof", "closed", 0});
                return;
        }
        if (!reuse)
                flow_choose(flow, choices);
        r.to_proxy = upstream_http(flow->via) != NULL;
        if (!begin(flow, head, &body) || queue_request(flow, &r) < 0) {
                flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
                return;
        }
        flow->client.received += head->len;
        if (reuse)
                forward_start(flow);
        else
                start(flow, head, &target);
}
