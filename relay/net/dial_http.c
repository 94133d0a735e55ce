/* CONNECT to an HTTP proxy (RFC 9110 section 9.3.6), and its refusals: their body is evidence, and
 * a 407 is answered where we can. */
#include "net/challenge.h"
#include "net/dial_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        BODY_MS = 1000,   /* the time a refusing proxy gets to send its body */
        REUSED_MS = 5000, /* for an answer on a connection that it said it would keep */
};

/* The client's own credentials go to the last proxy, if we have none for it. */
static const char *clients_own(const struct dial *d)
{
        return d->hop->next == NULL && d->hop->credentials == NULL ? d->authorization : NULL;
}

static void ask(struct dial *d)
{
        const char *own = clients_own(d);
        const char *auth = own != NULL ? own : auth_value(d->auths[d->depth]), *host;
        char target[320], literal[64], *text;
        uint16_t port;

        dial_goal(d, &host, &port, literal);
        snprintf(target, sizeof target, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
                 port);
        d->result.credentials = auth != NULL;
        if (asprintf(&text,
                     "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s%sProxy-Connection: "
                     "Keep-Alive\r\n\r\n",
                     target, target, d->connect_fields != NULL ? d->connect_fields : "",
                     auth != NULL ? "Proxy-Authorization: " : "", auth != NULL ? auth : "",
                     auth != NULL ? "\r\n" : "") < 0) {
                dial_fail(d, DIAL_PROXY, ENOMEM, "out of memory");
                return;
        }
        dial_send(d, text, strlen(text));
        wipe_free(text);
}

static void start(struct dial *d)
{
        struct auth **auth = &d->auths[d->depth];
        char target[320], literal[64];
        const char *host;
        uint16_t port;

        dial_goal(d, &host, &port, literal);
        snprintf(target, sizeof target, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
                 port);
        if (*auth == NULL)
                *auth = auth_new(d->hop, "CONNECT", target);
        if (*auth == NULL)
                dial_fail(d, DIAL_PROXY, ENOMEM, "out of memory");
        else
                ask(d);
}

/* A proxy's refusal as an errno: what connect(2) would most nearly have said. */
static int refusal_errno(unsigned status)
{
        switch (status) {
        case 504:
                return ETIMEDOUT;
        case 500:
        case 502:
        case 503:
                return EHOSTUNREACH;
        default:
                return ECONNREFUSED;
        }
}

/* Does a challenge begin a dialogue that hangs on its connection (RFC 4559 section 6)? */
static bool is_dialogue(const struct dial *d)
{
        static _Thread_local struct head head; /* 12 KiB, used up before returning */
        struct challenge c;

        if (head_parse_response(d->head, d->head_len, &head) != HEAD_OK)
                return false;
        for (size_t i = 0; i < head.field_count; i++) {
                const char *at = head.fields[i].value.at, *end = at + head.fields[i].value.len;

                if (!text_is_nocase(head.fields[i].name, "Proxy-Authenticate"))
                        continue;
                while (challenge_next(&at, end, &c))
                        if (text_is_nocase(c.scheme, "NTLM") ||
                            text_is_nocase(c.scheme, "Negotiate"))
                                return true;
        }
        return false;
}

/* Where the client has such a dialogue with the proxy, the connection must not end. */
static void keep_for_client(struct dial *d)
{
        if (d->result.proxy_status != 407 || !d->kept || d->hop->next != NULL ||
            d->hop->credentials != NULL || d->watch.fd < 0 || !is_dialogue(d))
                return;
        d->result.kept_fd = d->watch.fd;
        loop_remove(d->loop, &d->watch);
}

static void refused(struct dial *d)
{
        keep_for_client(d);
        dial_fail(d, DIAL_PROXY, refusal_errno(d->result.proxy_status),
                  "the upstream proxy %s answered %u to CONNECT", dial_shown(d),
                  d->result.proxy_status);
}

/* ---- asking again ---- */

/* May the connection carry another request (RFC 9112 section 9.3)? */
static bool is_kept(const struct head *head)
{
        static const char *const names[] = {"Connection", "Proxy-Connection"};
        bool kept = head->minor >= 1;

        for (size_t i = 0; i < 2; i++) {
                const struct head_field *f = head_find(head, names[i]);

                if (f != NULL && text_has_token(f->value, "close"))
                        return false;
                kept = kept || (f != NULL && text_has_token(f->value, "keep-alive"));
        }
        return kept;
}

static void ask_again(struct dial *d, bool reusable)
{
        bool same = auth_needs_same_connection(d->auths[d->depth]);

        d->refused = false;
        if (reusable) {
                d->reused = true;
                d->in_len = 0;
                dial_limit(d, same ? DIAL_ANSWER_MS : REUSED_MS);
                ask(d);
        } else if (same || !dial_again(d)) {
                refused(d);
        }
}

static void think(uv_work_t *work)
{
        struct dial *d = work->data;

        auth_think(d->auths[d->depth]);
}

static void thought(uv_work_t *work, int status)
{
        struct dial *d = work->data;

        d->thinking = false;
        if (!d->over && status == 0) {
                switch (auth_thought(d->auths[d->depth])) {
                case AUTH_RETRY:
                        ask_again(d, d->kept && d->watch.fd >= 0);
                        break;
                case AUTH_STOP:
                case AUTH_THINK:
                        refused(d);
                        break;
                }
        }
        dial_release(d);
}

static void begin_thinking(struct dial *d)
{
        d->think.data = d;
        d->thinking = true;
        dial_hold(d);
        dial_limit(d, DIAL_ANSWER_MS);
        if (uv_queue_work(loop_uv(d->loop), &d->think, think, thought) < 0) {
                d->thinking = false;
                dial_release(d);
                refused(d);
        }
}

/* What to do about a refusal once its body is there, or will not come. */
static void refusal_read(struct dial *d, bool whole)
{
        static _Thread_local struct head head; /* 12 KiB, used up before returning */
        struct auth *auth = d->auths[d->depth];
        enum auth_next next = AUTH_STOP;

        d->kept = whole && head_parse_response(d->head, d->head_len, &head) == HEAD_OK &&
                  is_kept(&head);
        if (clients_own(d) == NULL && d->result.proxy_status == 407 &&
            head_parse_response(d->head, d->head_len, &head) == HEAD_OK)
                next = auth_challenged(auth, &head);
        else if (clients_own(d) == NULL &&
                 (d->result.proxy_status == 401 || d->result.proxy_status == 403))
                next = auth_snubbed(auth);
        switch (next) {
        case AUTH_STOP:
                refused(d);
                return;
        case AUTH_RETRY:
                ask_again(d, d->kept);
                return;
        case AUTH_THINK:
                begin_thinking(d);
                return;
        }
}

/* ---- reading ---- */

/* Take what has come of the refusal's body: d->in holds its content then. cut: that is all there
 * will be. */
static void look_at_body(struct dial *d, bool cut)
{
        size_t used = 0, kept = 0;
        enum body_result result =
                body_take(&d->body, d->in + d->body_len, d->in_len - d->body_len, &used, &kept);

        d->body_faulty = d->body_faulty || used < d->in_len - d->body_len;
        d->body_len += result == BODY_BAD ? 0 : kept;
        d->in_len = d->body_len;
        if (result == BODY_MORE && !cut && d->body_len < DIAL_BODY_MAX)
                return;
        if (d->in_len > DIAL_BODY_MAX)
                d->in_len = DIAL_BODY_MAX;
        refusal_read(d, result == BODY_DONE && !d->body_faulty);
}

static bool keep_head(struct dial *d, size_t len)
{
        char *copy = malloc(len);

        if (copy == NULL) {
                dial_fail(d, DIAL_PROXY, ENOMEM, "out of memory");
                return false;
        }
        memcpy(copy, d->in, len);
        free(d->head);
        d->head = copy;
        d->head_len = len;
        return true;
}

/* A whole final head is there: 2xx opens the tunnel, all else is a refusal. */
static void answered(struct dial *d, const struct head *head)
{
        size_t len = head->len;

        d->result.proxy_status = head->status;
        if (!keep_head(d, len))
                return;
        if (head->status >= 200 && head->status < 300) {
                dial_use(d, len);
                auth_accepted(d->auths[d->depth]);
                dial_through(d);
                return;
        }
        if (body_of_response(head, false, &d->body, &d->body_faulty) != NULL)
                d->body = (struct body){.kind = BODY_UNTIL_CLOSE};
        d->body.coding_stays = false;
        d->body_len = 0;
        d->refused = true;
        dial_use(d, len);
        dial_limit(d, BODY_MS);
        look_at_body(d, false);
}

/* 1xx heads before the final one are passed over (RFC 9110 section 15.2). */
static void received(struct dial *d)
{
        static _Thread_local struct head head;

        if (d->refused) {
                if (!d->thinking)
                        look_at_body(d, false);
                return;
        }
        for (;;) {
                switch (head_parse_response(d->in, d->in_len, &head)) {
                case HEAD_MORE:
                        return;
                case HEAD_OK:
                        break;
                case HEAD_BAD:
                case HEAD_LONG_LINE:
                case HEAD_TOO_LONG:
                        d->result.down = true;
                        dial_fail(d, DIAL_PROXY, ECONNREFUSED,
                                  "the upstream proxy %s gave an answer that is not HTTP/1",
                                  dial_shown(d));
                        return;
                }
                if (head.status >= 200) {
                        answered(d, &head);
                        return;
                }
                dial_use(d, head.len);
        }
}

/* It had meant to close, or to forget about it, although it said that it would not. */
static bool ask_afresh(struct dial *d)
{
        return d->reused && d->in_len == 0 && !auth_needs_same_connection(d->auths[d->depth]) &&
               dial_again(d);
}

static void ended(struct dial *d, int error)
{
        if (d->thinking) {
                d->kept = false;
                return;
        }
        if (d->refused) {
                look_at_body(d, true);
                return;
        }
        /* It answers only those who bring credentials. */
        if (ask_afresh(d) || (d->in_len == 0 && clients_own(d) == NULL &&
                              auth_snubbed(d->auths[d->depth]) == AUTH_RETRY && dial_again(d)))
                return;
        d->result.down = true;
        dial_fail(d, DIAL_PROXY, error != 0 ? error : ECONNRESET,
                  "the upstream proxy %s closed the connection before it answered CONNECT (%zu "
                  "bytes came)",
                  dial_shown(d), d->in_len);
}

static void late(struct dial *d)
{
        if (d->thinking) {
                refused(d);
        } else if (d->refused) {
                look_at_body(d, true);
        } else if (!ask_afresh(d)) {
                d->result.down = true;
                dial_fail(d, DIAL_PROXY, ETIMEDOUT,
                          "the upstream proxy %s did not answer CONNECT in time", dial_shown(d));
        }
}

const struct dial_protocol dial_http = {start, received, ended, late};
