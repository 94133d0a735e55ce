/* Who may use the relay; see door.h. */
#include "net/door.h"
#include "net/head.h"
#include "net/logins.h"
#include "net/reply.h"

#include <netinet/in.h>
#include <string.h>

bool door_is_loopback(const struct wire_addr *address)
{
        if (address->family == AF_INET)
                return address->bytes[0] == 127;
        return address->family == AF_INET6 &&
               memcmp(address->bytes, &in6addr_loopback, sizeof address->bytes) == 0;
}

bool door_admits(struct relay *relay, const struct wire_addr *peer)
{
        const struct host_list *allow = relay->options->allow;
        char literal[64];

        if (allow == NULL || door_is_loopback(peer))
                return true;
        address_literal(peer, literal);
        if (host_list_match(allow, NULL, literal, peer->port))
                return true;
        relay->metrics.strangers++;
        if (relay_may_note(relay, &relay->noted_stranger_us))
                relay_note(relay,
                           "a client at %s was turned away: it is not on the list of --allow",
                           literal);
        return false;
}

static void note_wrong(struct flow *flow)
{
        struct wire_addr peer = {.family = flow->key.family, .port = flow->key.port};
        char literal[64];

        flow->relay->metrics.bad_logins++;
        memcpy(peer.bytes, flow->key.bytes, sizeof peer.bytes);
        address_literal(&peer, literal);
        if (relay_may_note(flow->relay, &flow->relay->noted_login_us))
                relay_note(flow->relay, "a client at %s gave a wrong user or password", literal);
}

bool door_login(struct flow *flow, const char *user, size_t user_len, const char *password,
                size_t password_len)
{
        if (!flow->wants_login)
                return true;
        if (logins_has(flow->options->logins, user, user_len, password, password_len))
                return true;
        note_wrong(flow);
        return false;
}

bool door_login_http(struct flow *flow, struct head *head)
{
        const struct logins *logins = flow->options->logins;
        const struct head_field *field;
        size_t kept = 0;

        if (!flow->wants_login)
                return true;
        field = head_find(head, "Proxy-Authorization");
        if (field == NULL || !logins_has_basic(logins, field->value.at, field->value.len)) {
                if (field != NULL)
                        note_wrong(flow);
                reply_ask_for_login(flow, head);
                return false;
        }
        for (size_t i = 0; i < head->field_count; i++)
                if (!text_is_nocase(head->fields[i].name, "Proxy-Authorization"))
                        head->fields[kept++] = head->fields[i];
        head->field_count = kept;
        return true;
}
