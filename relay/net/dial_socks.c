/* The dialogue with a SOCKS proxy: 4 and 4a in one exchange, 5 with its method, login and request.
 * The variants without a letter look the goal's name up here. */
#include "net/dial_state.h"
#include "net/socks_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_METHOD, STEP_LOGIN, STEP_REQUEST };

static void split_login(const struct dial *d, char user[256], char password[256])
{
        const char *all = d->hop->credentials != NULL ? d->hop->credentials : "";
        const char *colon = strchr(all, ':');
        size_t len = colon != NULL ? (size_t)(colon - all) : strlen(all);

        len = len < 255 ? len : 255;
        memcpy(user, all, len);
        user[len] = '\0';
        len = colon != NULL ? strnlen(colon + 1, 255) : 0;
        memcpy(password, colon != NULL ? colon + 1 : "", len);
        password[len] = '\0';
}

static void say(struct dial *d, unsigned char *message, size_t len)
{
        if (len == 0)
                dial_fail(d, DIAL_PROXY, EINVAL,
                          "what is to be said to the upstream proxy %s does not fit SOCKS",
                          dial_shown(d));
        else
                dial_send(d, message, len);
        explicit_bzero(message, SOCKS_OUT_MAX);
}

/* ---- the goal: a name that the proxy looks up, or an address ---- */

static bool is_by_name(const struct dial *d)
{
        return d->hop->scheme == HOP_SOCKS4A || d->hop->scheme == HOP_SOCKS5H;
}

static void say_request(struct dial *d, const char *name)
{
        unsigned char message[SOCKS_OUT_MAX];
        char user[256], password[256], literal[64];
        const char *host;
        uint16_t port;
        size_t len;

        dial_goal(d, &host, &port, literal);
        if (d->protocol == &dial_socks5) {
                len = socks_out_request5(message, name, &d->local, port);
        } else {
                split_login(d, user, password);
                len = socks_out_request4(message, name, &d->local, port, user);
                explicit_bzero(password, sizeof password);
        }
        d->step = STEP_REQUEST;
        say(d, message, len);
}

static void looked_up(struct dial *d)
{
        address_from_socket((const struct sockaddr *)&d->addresses[0], &d->local);
        say_request(d, NULL);
}

/* An address that the program asked for is asked for; a name is looked up by whom the scheme says.
 */
static void request(struct dial *d)
{
        int family = d->protocol == &dial_socks4 ? AF_INET : AF_UNSPEC;
        char literal[64];
        const char *host;
        uint16_t port;

        dial_goal(d, &host, &port, literal);
        if (address_from_literal(host, port, &d->local) &&
            (d->local.family == AF_INET || d->protocol == &dial_socks5)) {
                say_request(d, NULL);
        } else if (is_by_name(d)) {
                say_request(d, host);
        } else if (d->hop->next == NULL && d->target.family != 0 &&
                   (family == AF_UNSPEC || d->target.family == family)) {
                d->local = d->target;
                say_request(d, NULL);
        } else {
                dial_resolve(d, host, port, family, looked_up);
        }
}

/* ---- what comes back ---- */

static void odd(struct dial *d)
{
        d->result.down = true;
        dial_fail(d, DIAL_PROXY, ECONNREFUSED,
                  "the upstream proxy %s gave an answer that is not SOCKS", dial_shown(d));
}

static void refused(struct dial *d, int code)
{
        d->result.auth_wanted = code == SOCKS_OUT_LOGIN_REFUSED;
        dial_fail(d, DIAL_PROXY, socks_out_errno(code), "the upstream proxy %s refused: %s",
                  dial_shown(d), socks_out_words(code));
}

static void ended(struct dial *d, int error)
{
        d->result.down = true;
        dial_fail(d, DIAL_PROXY, error != 0 ? error : ECONNRESET,
                  "the upstream proxy %s closed the connection before it answered (%zu bytes came)",
                  dial_shown(d), d->in_len);
}

static void late(struct dial *d)
{
        d->result.down = true;
        dial_fail(d, DIAL_PROXY, ETIMEDOUT, "the upstream proxy %s did not answer in time",
                  dial_shown(d));
}

static void chosen(struct dial *d, int method)
{
        unsigned char message[SOCKS_OUT_MAX];
        char user[256], password[256];

        if (method == 0) {
                request(d);
                return;
        }
        if (method != 2 || d->hop->credentials == NULL) {
                d->result.auth_wanted = d->hop->credentials == NULL;
                dial_fail(d, DIAL_PROXY, ECONNREFUSED,
                          "the upstream proxy %s accepts no login that could be offered",
                          dial_shown(d));
                return;
        }
        split_login(d, user, password);
        d->result.credentials = true;
        d->step = STEP_LOGIN;
        say(d, message, socks_out_login(message, user, password));
        explicit_bzero(password, sizeof password);
}

static void granted(struct dial *d, int len, int code)
{
        if (len < 0)
                odd(d);
        else if (code > SOCKS_OUT_OK)
                refused(d, code);
        else if (len > 0) {
                dial_use(d, (size_t)len);
                dial_through(d);
        }
}

static void received5(struct dial *d)
{
        const unsigned char *data = (const unsigned char *)d->in;
        int code = -1, len = 0;

        if (d->found != NULL)
                return; /* it has nothing to say while a name is looked up */
        switch (d->step) {
        case STEP_METHOD:
                len = socks_out_method(data, d->in_len, &code);
                break;
        case STEP_LOGIN:
                len = socks_out_login_reply(data, d->in_len, &code);
                break;
        case STEP_REQUEST:
                len = socks_out_reply5(data, d->in_len, &code);
                granted(d, len, code);
                return;
        }
        if (len < 0) {
                odd(d);
        } else if (len > 0) {
                bool method = d->step == STEP_METHOD;

                dial_use(d, (size_t)len);
                if (method)
                        chosen(d, code);
                else if (code != SOCKS_OUT_OK)
                        refused(d, code);
                else
                        request(d);
        }
}

static void received4(struct dial *d)
{
        int code = -1, len;

        if (d->found != NULL)
                return;
        len = socks_out_reply4((const unsigned char *)d->in, d->in_len, &code);
        granted(d, len, code);
}

static void start5(struct dial *d)
{
        unsigned char message[SOCKS_OUT_MAX];

        d->step = STEP_METHOD;
        say(d, message, socks_out_greeting(message, d->hop->credentials != NULL));
}

static void start4(struct dial *d)
{
        d->result.credentials = d->hop->credentials != NULL;
        request(d);
}

const struct dial_protocol dial_socks5 = {start5, received5, ended, late};
const struct dial_protocol dial_socks4 = {start4, received4, ended, late};
