/* Failures of the network of one kind, gathered: see netfault.h. */
#include "explain/netfault.h"

#include <stdlib.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
        return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static struct netfault *group_of(struct netfaults *all, const struct netfault_item *item)
{
        for (size_t i = 0; i < all->count; i++)
                if (all->groups[i].code == item->code && same_text(all->groups[i].via, item->via))
                        return &all->groups[i];
        if (all->count == NETFAULT_GROUPS)
                return &all->groups[NETFAULT_GROUPS - 1];
        all->groups[all->count] = (struct netfault){.code = item->code, .via = item->via};
        return &all->groups[all->count++];
}

static void add_host(struct netfault *group, const char *host, int64_t port)
{
        size_t shown = group->host_count < NETFAULT_HOSTS ? group->host_count : NETFAULT_HOSTS;

        if (host == NULL)
                return;
        for (size_t i = 0; i < shown; i++)
                if (same_text(group->hosts[i], host) && group->ports[i] == port)
                        return;
        if (shown < NETFAULT_HOSTS) {
                group->hosts[shown] = host;
                group->ports[shown] = port;
        }
        group->host_count++;
}

void netfault_add(struct netfaults *all, const struct netfault_item *item)
{
        struct netfault *group = group_of(all, item);

        add_host(group, item->host, item->port);
        if (group->count < EVIDENCE_MAX)
                group->events[group->count] = item->event;
        group->count++;
        group->certain = group->certain || item->certain;
}

static char *add_text(char *text, const char *separator, const char *host, int64_t port)
{
        char *endpoint = text_endpoint(host, port);
        char *longer = NULL;

        if (text != NULL && endpoint != NULL)
                longer = text_format("%s%s%s", text, separator, endpoint);
        free(endpoint);
        free(text);
        return longer;
}

char *netfault_hosts(const struct netfault *group)
{
        size_t shown = group->host_count < NETFAULT_HOSTS ? group->host_count : NETFAULT_HOSTS;
        char *text = strdup(shown == 0 ? "the host" : "");

        for (size_t i = 0; i < shown; i++) {
                bool last = i + 1 == group->host_count;

                text = add_text(text,
                                i == 0 ? ""
                                : last ? " and "
                                       : ", ",
                                group->hosts[i], group->ports[i]);
        }
        /* The count is of different ones only up to the third; beyond, "others" is what is known.
         */
        if (group->host_count > shown)
                text = add_text(text, " and ", "others", 0);
        return text;
}

int64_t netfault_began_us(const json_t *event)
{
        const json_t *ms = json_object_get(event, "duration_ms");

        return event_get_time_us(event) - (int64_t)(json_number_value(ms) * 1000);
}

static size_t answers_elsewhere(const struct facts *facts, const struct netfault *group)
{
        size_t answers = 0;

        for (const struct flow *flow = facts->flows; flow != NULL; flow = flow->hh.next) {
                bool mine = flow->host == NULL;

                for (size_t i = 0; i < group->host_count && i < NETFAULT_HOSTS; i++)
                        mine = mine || strcmp(flow->host, group->hosts[i]) == 0;
                answers += !mine && flow->answer != NULL;
        }
        return answers;
}

void netfault_proof(struct draft *d, const struct facts *facts, const struct netfault *group)
{
        size_t elsewhere = answers_elsewhere(facts, group);

        if (group->count > EVIDENCE_MAX)
                text_add(&d->evidence, "and %zu more like %s", group->count - EVIDENCE_MAX,
                         group->count - EVIDENCE_MAX == 1 ? "it" : "them");
        if (elsewhere > 0)
                text_add(&d->evidence, "other hosts answered well on %zu connection%s", elsewhere,
                         text_s(elsewhere));
}

static bool lookup_has_ipv4(const json_t *event)
{
        const json_t *addresses = json_object_get(event, "addresses");

        for (size_t i = 0; i < json_array_size(addresses); i++) {
                const char *address = json_string_value(json_array_get(addresses, i));

                if (address != NULL && strchr(address, ':') == NULL)
                        return true;
        }
        return false;
}

/* Did this machine get anywhere by IPv4, or learn of an IPv4 address of this host? */
static bool has_ipv4(const struct facts *facts, const char *name)
{
        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];
                const char *address = event_get_str(event, "address");

                if (event_is(event, "upstream") && event_field_is(event, "result", "connected") &&
                    address != NULL && strchr(address, ':') == NULL)
                        return true;
                if (event_is(event, "name.lookup") && event_field_is(event, "name", name) &&
                    lookup_has_ipv4(event))
                        return true;
        }
        return false;
}

bool netfault_is_ipv6(const struct facts *facts, const char *address, const char *name)
{
        return address != NULL && strchr(address, ':') != NULL && strncmp(address, "::", 2) != 0 &&
               has_ipv4(facts, name);
}
