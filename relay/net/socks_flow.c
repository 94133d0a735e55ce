/* SOCKS clients; see socks_flow.h. The order of a SOCKS5 client's messages is greeting, login (if
 * that method was chosen), request; SOCKS4 has the request alone. What comes behind the request is
 * the tunnel's, be it in the same packet. */
#include "net/socks_flow.h"
#include "net/door.h"
#include "net/front.h"
#include "net/socks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ROOM = 1024 }; /* more than any message has */

enum step { STEP_FIRST, STEP_LOGIN, STEP_REQUEST };

bool socks_begins(unsigned char first)
{
        return first == 4 || first == 5;
}

static void refuse(struct flow *flow, const char *data, size_t len, const char *why, int error)
{
        flow_answer(flow, data, len, &(struct flow_end){"relay", "refused", why, error});
}

static void refuse_request(struct flow *flow, enum socks_reply reply, const char *why, int error)
{
        char answer[SOCKS_REPLY_MAX];

        refuse(flow, answer, socks_print_reply(flow->socks_version, reply, answer), why, error);
}

/* There is no answer to what cannot be parsed. */
static void malformed(struct flow *flow)
{
        flow_close(flow,
                   &(struct flow_end){"relay", "refused", "not a well-formed SOCKS request", 0});
}

static void say(struct flow *flow, unsigned char version, unsigned char word)
{
        char answer[2] = {(char)version, (char)word};
        int result = side_queue(&flow->client, answer, sizeof answer);

        if (result == 0)
                result = side_flush(&flow->client);
        if (result < 0 && result != -EAGAIN)
                flow->client.error = -result;
}

static void consume(struct flow *flow, size_t len)
{
        flow->head_len -= len;
        memmove(flow->head, flow->head + len, flow->head_len);
}

static enum socks_result greeting(struct flow *flow)
{
        struct socks_greeting g;
        enum socks_result result = socks5_greeting(flow->head, flow->head_len, &g);

        if (result != SOCKS_OK)
                return result;
        consume(flow, g.len);
        g.open = g.open && !flow->wants_login;
        if (!g.open && !g.password) {
                refuse(flow, "\5\377", 2,
                       flow->wants_login ? "it offered no user and password"
                                         : "no SOCKS method in common",
                       0);
                return SOCKS_MORE;
        }
        say(flow, 5, g.open ? 0 : 2);
        flow->socks_step = g.open ? STEP_REQUEST : STEP_LOGIN;
        return SOCKS_OK;
}

/* A client that logs in where nobody asked for it may. */
static enum socks_result login(struct flow *flow)
{
        struct socks_login l;
        enum socks_result result = socks5_login(flow->head, flow->head_len, &l);

        if (result != SOCKS_OK)
                return result;
        if (!door_login(flow, l.user, l.user_len, l.password, l.password_len)) {
                refuse(flow, "\1\1", 2, "no valid login", 0);
                return SOCKS_MORE;
        }
        explicit_bzero(flow->head, l.len);
        consume(flow, l.len);
        say(flow, 1, 0);
        flow->socks_step = STEP_REQUEST;
        return SOCKS_OK;
}

static void go(struct flow *flow, const struct socks_request *r)
{
        flow_limit(flow, 0);
        flow->client.received = flow->head_len;
        if (flow->wants_login && flow->socks_version == 4)
                refuse_request(flow, SOCKS_NOT_ALLOWED, "SOCKS4 knows no password", 0);
        else if (r->command != SOCKS_CONNECT)
                refuse_request(flow, SOCKS_NO_COMMAND, "only the CONNECT command is served", 0);
        else if (side_queue(&flow->server, flow->head, flow->head_len) < 0)
                refuse_request(flow, SOCKS_FAILURE, "out of memory", ENOMEM);
        else if (!front_target(flow, r->host, r->port, false))
                refuse_request(flow, SOCKS_NOT_ALLOWED, "the target is this relay itself", 0);
        else
                flow_dial(flow, false, NULL);
}

static enum socks_result request(struct flow *flow)
{
        struct socks_request r;
        enum socks_result result = flow->socks_version == 4
                                           ? socks4_request(flow->head, flow->head_len, &r)
                                           : socks5_request(flow->head, flow->head_len, &r);

        if (result == SOCKS_ADDRESS)
                refuse_request(flow, SOCKS_NO_ADDRESS, "an address type that SOCKS5 has not", 0);
        if (result != SOCKS_OK)
                return result;
        consume(flow, r.len);
        go(flow, &r);
        return SOCKS_OK;
}

static enum socks_result step(struct flow *flow)
{
        switch ((enum step)flow->socks_step) {
        case STEP_FIRST:
                flow->socks_version = (unsigned char)flow->head[0];
                return flow->socks_version == 4 ? request(flow) : greeting(flow);
        case STEP_LOGIN:
                return login(flow);
        case STEP_REQUEST:
                return request(flow);
        }
        return SOCKS_BAD;
}

static void parse(struct flow *flow)
{
        enum socks_result result = SOCKS_OK;

        while (result == SOCKS_OK && flow->state == FLOW_HEAD && flow->head_len > 0)
                result = step(flow);
        if (result == SOCKS_BAD)
                malformed(flow);
}

/* One size, so that nothing has to be moved within a message. */
static bool make_room(struct flow *flow)
{
        char *more = flow->head_cap < ROOM ? realloc(flow->head, ROOM) : flow->head;

        if (more == NULL)
                return false;
        flow->head = more;
        flow->head_cap = ROOM;
        return true;
}

static void client_ended(struct flow *flow, int error)
{
        flow_close(flow, &(struct flow_end){"client", error != 0 ? "reset" : "eof",
                                            "closed before its request was complete", error});
}

void socks_drive(struct flow *flow)
{
        if (!make_room(flow)) {
                flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
                return;
        }
        if (flow->unread) {
                flow->unread = false;
                parse(flow);
        }
        while (flow->state == FLOW_HEAD) {
                ssize_t n = recv(flow->client.fd, flow->head + flow->head_len,
                                 ROOM - flow->head_len, 0);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        client_ended(flow, n < 0 ? errno : flow->client.error);
                        return;
                }
                side_was_read(&flow->client, n, ROOM - flow->head_len);
                flow->head_len += (size_t)n;
                parse(flow);
        }
}

void socks_timeout(struct flow *flow)
{
        flow_close(flow, &(struct flow_end){"client", "error",
                                            "its SOCKS request did not arrive in time", ETIMEDOUT});
}

void socks_established(struct flow *flow)
{
        char answer[SOCKS_REPLY_MAX];

        side_queue(&flow->client, answer,
                   socks_print_reply(flow->socks_version, SOCKS_SUCCEEDED, answer));
}

/* A name that cannot be resolved is a host that cannot be reached; a proxy that says 403 or 407 has
 * its rules. */
static enum socks_reply failure(const struct dial_result *result)
{
        if (result->stage == DIAL_RESOLVE)
                return SOCKS_HOST_UNREACHABLE;
        if (result->stage == DIAL_PROXY &&
            (result->proxy_status == 403 || result->proxy_status == 407))
                return SOCKS_NOT_ALLOWED;
        if (result->stage == DIAL_PROXY && result->proxy_status == 0)
                return SOCKS_FAILURE;
        return socks_reply_of(result->error);
}

void socks_dialled(struct flow *flow, const struct dial_result *result)
{
        if (result->stage == DIAL_DONE)
                flow_start(flow);
        else
                refuse_request(flow, failure(result), "the connection failed", result->error);
}
