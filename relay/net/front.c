/* New clients; see front.h. */
#include "net/front.h"
#include "net/control.h"
#include "net/explicit.h"
#include "net/listener.h"
#include "net/process.h"
#include "net/reply.h"
#include "net/socks_flow.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        TLS_HANDSHAKE = 0x16,
        HEAD_FIRST = 1024, /* most requests' heads; all of SOCKS */
};

static void write_connect(struct flow *flow)
{
        static const char *const kinds[] = {[FLOW_REDIRECTED] = "redirected",
                                            [FLOW_CONNECT] = "connect",
                                            [FLOW_HTTP] = "http",
                                            [FLOW_SOCKS] = "socks"};
        struct event_who who = flow_who(flow);
        struct event e;

        if (!record_is_kept(flow->relay->record))
                return;
        event_begin(&e, EVENT_CONNECT, &who, flow->id);
        event_str(&e, "kind", kinds[flow->kind]);
        event_str(&e, "name", flow->name);
        event_int(&e, "port", flow->port);
        event_int(&e, "source_port", flow->key.port);
        record_write(flow->relay->record, &e);
}

static bool is_own(const struct flow *flow, const char *host, uint16_t port)
{
        return (strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
                strcmp(host, "::1") == 0) &&
               listener_has_port(flow->relay, port);
}

const struct upstream *front_way(const struct flow *flow, const char *host, uint16_t port,
                                 bool plain)
{
        return routing_list(flow->options->routing, plain, host, NULL, port);
}

bool front_target(struct flow *flow, const char *host, uint16_t port, bool plain)
{
        flow->name = strdup(host);
        flow->port = port;
        if (flow->via == NULL)
                flow_choose(flow, front_way(flow, host, port, plain));
        write_connect(flow);
        return !is_own(flow, host, port);
}

void front_established(struct flow *flow)
{
        if (flow->kind == FLOW_CONNECT)
                reply_established(flow);
        else if (flow->kind == FLOW_SOCKS)
                socks_established(flow);
}

void front_dialled(struct flow *flow, const struct dial_result *result)
{
        if (flow->kind == FLOW_SOCKS)
                socks_dialled(flow, result);
        else
                reply_dialled(flow, result);
}

void front_timeout(struct flow *flow)
{
        if (flow->kind == FLOW_SOCKS)
                socks_timeout(flow);
        else
                reply_head_timeout(flow);
}

/* On the private listener only this user's programs are served: the kernel knows whose socket it
 * is. */
static bool is_allowed(struct flow *flow)
{
        struct sockaddr_storage local, remote;
        socklen_t local_len = sizeof local, remote_len = sizeof remote;
        uid_t uid;

        if (flow->public_listener)
                return true;
        if (getsockname(flow->client.fd, (struct sockaddr *)&local, &local_len) < 0 ||
            getpeername(flow->client.fd, (struct sockaddr *)&remote, &remote_len) < 0 ||
            process_socket_uid(&remote, &local, &uid) < 0)
                return false;
        return uid == geteuid();
}

/* Neither HTTP nor SOCKS. On the private listener it is a redirected program's, whose announcement
 * must follow, or the limit ends it. */
static void not_understood(struct flow *flow, unsigned char first)
{
        if (!flow->public_listener)
                return;
        if (first == TLS_HANDSHAKE)
                relay_note(flow->relay,
                           "a client began with a TLS handshake: a proxy URL for this relay begins "
                           "with http:// or socks5h://, not with https://");
        reply_refuse(flow, 400, "tapline: this is neither an HTTP/1 nor a SOCKS request.");
}

static void first_byte(struct flow *flow, unsigned char first)
{
        bool http = isalpha(first) || first == '\r' || first == '\n';

        if (!http && !socks_begins(first)) {
                not_understood(flow, first);
                return;
        }
        if (!is_allowed(flow)) {
                relay_note(flow->relay,
                           "a connection of another user to the private listener was closed");
                flow_abort(flow, &(struct flow_end){"relay", "refused",
                                                    "not announced, and not this user's", 0});
                return;
        }
        if (http) {
                explicit_drive(flow);
                return;
        }
        flow->kind = FLOW_SOCKS;
        socks_drive(flow);
}

/* A redirected program's connection, whose announcement waits unread: the library sends it before
 * connect() returns, so before any byte of the program, and before it closes. Reading it now hands
 * the client over. */
static bool is_announced(struct flow *flow)
{
        if (flow->public_listener || flow->relay->unjoined == 0)
                return false;
        control_drain(flow->relay);
        return flow->state != FLOW_HEAD;
}

/* Nobody else will want these bytes. Kept is what came and no room beside: a thousand clients may
 * begin at once. */
static void read_first(struct flow *flow)
{
        static _Thread_local char first[HEAD_FIRST];
        ssize_t n = recv(flow->client.fd, first, sizeof first, 0);

        side_was_read(&flow->client, n, sizeof first);
        if (n < 0 && errno == EAGAIN)
                return;
        if (n < 0)
                flow->client.error = errno; /* told once only: whoever reads next sees the end */
        if (n > 0) {
                flow->head = malloc((size_t)n);
                if (flow->head == NULL) {
                        flow_abort(flow,
                                   &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
                        return;
                }
                memcpy(flow->head, first, (size_t)n);
                flow->head_len = flow->head_cap = (size_t)n;
                flow->unread = true;
        }
        first_byte(flow, n > 0 ? (unsigned char)first[0] : '\n'); /* an end is for the one who reads
                                                                     heads to tell */
}

void front_drive(struct flow *flow)
{
        char first = '\n'; /* an end of file is for the one who reads the head to tell */
        ssize_t n;

        if (flow->kind == FLOW_SOCKS) {
                socks_drive(flow);
                return;
        }
        if (flow->head_len > 0 || flow->kept) {
                explicit_drive(flow);
                return;
        }
        if (flow->public_listener) {
                read_first(flow);
                return;
        }
        n = recv(flow->client.fd, &first, 1, MSG_PEEK);
        if (n < 0 && errno == EAGAIN)
                return;
        if (n < 0)
                flow->client.error = errno; /* told once only: whoever reads next sees the end */
        if (is_announced(flow))
                return;
        first_byte(flow, (unsigned char)first);
}
