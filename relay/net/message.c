/* What the library's messages mean; see message.h. */
#include "net/message.h"
#include "net/filed.h"
#include "net/held.h"
#include "net/limits.h"
#include "net/madeup.h"
#include "net/names.h"
#include "net/own.h"
#include "net/past.h"
#include "net/process.h"
#include "net/rings.h"
#include "net/tapped.h"
#include "net/trusted.h"
#include "net/verdict.h"
#include "record/examine_who.h"
#include "record/mask.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

size_t message_min_len(unsigned type)
{
        static const size_t lens[] = {
                [WIRE_HELLO] = sizeof(struct wire_hello),
                [WIRE_DIAL] = sizeof(struct wire_dial),
                [WIRE_JOIN] = sizeof(struct wire_join),
                [WIRE_PEER] = sizeof(struct wire_join),
                [WIRE_LOOKUP] = sizeof(struct wire_lookup),
                [WIRE_FILE] = sizeof(struct wire_file),
                [WIRE_LOCK] = sizeof(struct wire_lock),
                [WIRE_TAP] = sizeof(struct wire_tap),
                [WIRE_NAME] = sizeof(struct wire_name),
                [WIRE_PASSED] = sizeof(struct wire_passed),
                [WIRE_UNCOVERED] = sizeof(struct wire_uncovered),
                [WIRE_TRUST] = sizeof(struct wire_trust),
                [WIRE_RING] = sizeof(struct wire_head),
                [WIRE_BELL] = sizeof(struct wire_head),
        };

        return type < sizeof lens / sizeof *lens && lens[type] != 0 ? lens[type] : SIZE_MAX;
}

bool message_is_whole(const void *packet, size_t len)
{
        const struct wire_head *head = packet;

        return len >= sizeof *head && head->magic == WIRE_MAGIC && head->version == WIRE_VERSION &&
               head->len == len && len >= message_min_len(head->type);
}

static void write_connect(struct relay *relay, const struct event_who *who, uint64_t flow,
                          const struct wire_dial *dial, const char *name, const char *bypassed)
{
        char literal[64];
        struct event e;

        if (!record_is_kept(relay->record))
                return;
        event_begin_at(&e, EVENT_CONNECT, who, flow, dial->head.time_ns);
        event_str(&e, "kind", "redirected");
        event_str(&e, "name", name);
        address_literal(&dial->to, literal);
        event_str(&e, "address", literal);
        event_int(&e, "port", dial->to.port);
        event_bool(&e, "blocking", (dial->flags & WIRE_DIAL_NONBLOCK) == 0);
        event_str(&e, "bypassed", bypassed);
        record_write(relay->record, &e);
}

static bool is_own_listener(const struct relay *relay, const struct wire_addr *to)
{
        return to->port == relay->private_port &&
               (to->family == AF_INET ? to->bytes[0] == 127
                                      : to->bytes[15] == 1 && to->bytes[0] == 0);
}

/* What the program speaks to the upstream proxy by itself must not go through it again. */
static const struct upstream *choose_way(const struct routing *r, const struct wire_addr *to,
                                         const char *name)
{
        char literal[64];

        address_literal(to, literal);
        if (routing_is_proxy(r, literal, to->port) ||
            (name != NULL && routing_is_proxy(r, name, to->port)))
                return NULL;
        return routing_list(r, to->port == 80, name, literal, to->port);
}

struct flow *message_dial(struct relay *relay, pid_t pid, const struct wire_dial *dial)
{
        const struct relay_options *o = relay->options;
        struct event_who who = {pid, dial->head.tid, process_table_exe(relay->processes, pid)};
        const char *name, *made_up;
        char literal[64];
        struct flow *flow;

        if ((dial->to.family != AF_INET && dial->to.family != AF_INET6) ||
            is_own_listener(relay, &dial->to))
                return NULL;
        past_forget(relay, dial->cookie);
        made_up = madeup_name(relay, &dial->to);
        name = made_up != NULL ? made_up : name_table_find(relay->names, pid, &dial->to);
        if (relay->draining) {
                write_connect(relay, &who, 0, dial, name, "the command has ended");
                return NULL;
        }
        address_literal(&dial->to, literal);
        if (host_list_match(o->bypass, name, literal, dial->to.port)) {
                write_connect(relay, &who, 0, dial, name, "on the bypass list");
                return NULL;
        }
        if (!limits_has_room(relay)) {
                write_connect(relay, &who, 0, dial, name, "the relay has no descriptors left");
                return NULL;
        }
        flow = flow_new(relay, FLOW_REDIRECTED, FLOW_DIALLING);
        if (flow == NULL) {
                write_connect(relay, &who, 0, dial, name, "out of memory");
                return NULL;
        }
        flow_set_process(flow, pid, dial->head.tid);
        flow->name = name != NULL ? strdup(name) : NULL;
        flow->address = dial->to;
        flow->made_up = made_up != NULL;
        flow->port = dial->to.port;
        flow->nonblock = (dial->flags & WIRE_DIAL_NONBLOCK) != 0;
        flow->cookie = dial->cookie;
        flow->manner = (struct dial_manner){dial->local, dial->syn_count, dial->user_timeout_ms};
        flow_choose(flow, choose_way(o->routing, &dial->to, name));
        write_connect(relay, &who, flow->id, dial, name, NULL);
        flow_dial(flow, false, NULL);
        return flow->state != FLOW_CLOSED ? flow : NULL;
}

void message_join(struct flow *flow, const struct wire_join *join)
{
        struct port_key key = flow_key(&join->local);
        struct flow *early = flow_find(flow->relay, key);
        int fd = -1;

        flow_expect_join(flow, false);
        flow->local = join->local;
        if (join->held) {
                if (flow_set_key(flow, key))
                        held_begin(flow);
                else
                        flow_abort(flow,
                                   &(struct flow_end){"relay", "error", "out of memory", ENOMEM});
                return;
        }
        /* The connection may have come before its announcement: it waits as a request without a
         * head. */
        if (early != NULL && early->state == FLOW_HEAD && early->head_len == 0)
                fd = flow_give_up_client(early);
        if (!flow_set_key(flow, key) && fd < 0)
                flow_abort(flow, &(struct flow_end){"relay", "error", "out of memory",
                                                    ENOMEM}); /* nobody would find it */
        if (fd < 0)
                return;
        flow_attach_client(flow, fd);
        flow->client.error = early->client.error;
        flow_joined(flow);
}

void message_peer(struct relay *relay, const struct wire_join *question,
                  struct wire_verdict *verdict)
{
        struct flow *flow = flow_find(relay, flow_key(&question->local));

        memset(verdict, 0, sizeof *verdict);
        if (flow == NULL || flow->kind != FLOW_REDIRECTED || flow->cookie != question->cookie) {
                past_verdict(relay, question->cookie, verdict);
                return;
        }
        flow_verdict(flow, verdict);
        if (!own_of_flow(flow, &verdict->local))
                own_by_route(&flow->address, &verdict->local);
}

/* The next NUL-terminated string of a packet; NULL at its end. */
static const char *next_string(const char **at, const char *end)
{
        const char *text = *at, *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;

        if (nul == NULL)
                return NULL;
        *at = nul + 1;
        return text;
}

static void report_hello(struct relay *relay, pid_t pid, const struct wire_hello *hello, size_t len)
{
        const char *at = (const char *)(hello + 1), *end = (const char *)hello + len;
        const char *exe = next_string(&at, end), *argument, *previous = NULL;
        struct event_who who = {pid, 0, exe};
        struct event e;
        char masked[4096];

        if (exe == NULL)
                return;
        process_table_set(relay->processes, pid, exe);
        roots_begin(relay->roots, pid);
        event_begin_at(&e, EVENT_PROCESS_START, &who, 0, hello->head.time_ns);
        event_int(&e, "ppid", hello->ppid);
        event_open_array(&e, "argv");
        for (; (argument = next_string(&at, end)) != NULL; previous = argument) {
                mask_argument_after(previous, argument, masked, sizeof masked);
                event_str(&e, NULL, masked);
        }
        event_close_array(&e);
        /* Whom SIGXFSZ ends has no call that fails. */
        examine_size_limit_write(&e, hello->fsize_limit, hello->fsize_hard_limit);
        record_write(relay->record, &e);
}

static const char *eai_name(int result)
{
        static const struct {
                int value;
                const char *name;
        } names[] = {
                {0, "ok"},
                {EAI_NONAME, "EAI_NONAME"},
                {EAI_AGAIN, "EAI_AGAIN"},
                {EAI_FAIL, "EAI_FAIL"},
                {EAI_FAMILY, "EAI_FAMILY"},
                {EAI_SERVICE, "EAI_SERVICE"},
                {EAI_MEMORY, "EAI_MEMORY"},
                {EAI_SYSTEM, "EAI_SYSTEM"},
                {EAI_NODATA, "EAI_NODATA"},
                {EAI_BADFLAGS, "EAI_BADFLAGS"},
                {EAI_SOCKTYPE, "EAI_SOCKTYPE"},
                {EAI_ADDRFAMILY, "EAI_ADDRFAMILY"},
                {EAI_OVERFLOW, "EAI_OVERFLOW"},
        };

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (names[i].value == result)
                        return names[i].name;
        return "EAI_OTHER";
}

void message_name(struct relay *relay, const struct wire_name *question, size_t len,
                  struct wire_verdict *verdict)
{
        char name[NI_MAXHOST];

        memset(verdict, 0, sizeof *verdict);
        if (question->name_len >= sizeof name || sizeof *question + question->name_len > len)
                return;
        memcpy(name, question + 1, question->name_len);
        name[question->name_len] = '\0';
        if (strlen(name) == question->name_len &&
            madeup_give(relay, name, question->family, &verdict->peer))
                verdict->state = WIRE_STATE_OPEN;
}

static void report_lookup(struct relay *relay, pid_t pid, const struct wire_lookup *lookup,
                          size_t len)
{
        const char *text = (const char *)(lookup + 1);
        size_t need = sizeof *lookup + lookup->name_len +
                      lookup->address_count * sizeof(struct wire_addr);
        struct event_who who = {pid, lookup->head.tid, process_table_exe(relay->processes, pid)};
        char name[NI_MAXHOST], literal[64];
        bool made_up = false;
        struct event e;

        if (need > len || lookup->name_len >= sizeof name)
                return;
        memcpy(name, text, lookup->name_len);
        name[lookup->name_len] = '\0';
        event_begin_at(&e, EVENT_NAME_LOOKUP, &who, 0, lookup->head.time_ns);
        event_str(&e, "name", name);
        event_open_array(&e, "addresses");
        for (size_t i = 0; i < lookup->address_count; i++) {
                struct wire_addr address;

                memcpy(&address, text + lookup->name_len + i * sizeof address, sizeof address);
                if (address.family != AF_INET && address.family != AF_INET6)
                        continue;
                address_literal(&address, literal);
                event_str(&e, NULL, literal);
                made_up = made_up || madeup_name(relay, &address) != NULL;
                name_table_add(relay->names, pid, &address, name);
        }
        event_close_array(&e);
        if (made_up)
                event_bool(&e, "made_up", true);
        event_str(&e, "result", eai_name(lookup->result));
        if (lookup->result == EAI_SYSTEM)
                event_str(&e, "errno", event_errno_name(lookup->error));
        event_ms(&e, "duration_ms", lookup->duration_us);
        record_write(relay->record, &e);
}

static void report_passed(struct relay *relay, pid_t pid, const struct wire_passed *passed)
{
        static const char *const reasons[] = {
                [WIRE_PASSED_STALLED] = "the relay did not answer in time",
                [WIRE_PASSED_DEVICE] = "bound to a network device",
                [WIRE_PASSED_UDP] = "a datagram socket",
                [WIRE_PASSED_QUIC] = "a datagram socket, refused (quic)",
        };
        struct event_who who = {pid, passed->head.tid, process_table_exe(relay->processes, pid)};
        bool is_udp = passed->reason == WIRE_PASSED_UDP || passed->reason == WIRE_PASSED_QUIC;
        char literal[64];
        struct event e;

        if (passed->reason >= sizeof reasons / sizeof *reasons || reasons[passed->reason] == NULL ||
            (passed->to.family != AF_INET && passed->to.family != AF_INET6))
                return;
        if (!is_udp)
                process_table_set_bypassed(relay->processes, pid);
        event_begin_at(&e, EVENT_CONNECT, &who, 0, passed->head.time_ns);
        event_str(&e, "kind", is_udp ? "udp" : "direct");
        event_str(&e, "name", name_table_find(relay->names, pid, &passed->to));
        address_literal(&passed->to, literal);
        event_str(&e, "address", literal);
        event_int(&e, "port", passed->to.port);
        if (!is_udp)
                event_bool(&e, "blocking", (passed->flags & WIRE_DIAL_NONBLOCK) == 0);
        event_str(&e, "bypassed", reasons[passed->reason]);
        record_write(relay->record, &e);
}

const char *message_uncovered_reason(unsigned reason)
{
        static const char *const words[WIRE_REASON_COUNT] = {
                [WIRE_STATIC] = "static",   [WIRE_SETUID] = "setuid",
                [WIRE_SETGID] = "setgid",   [WIRE_CAPABILITIES] = "capabilities",
                [WIRE_FOREIGN] = "foreign", [WIRE_SANITIZER] = "sanitizer",
                [WIRE_SECCOMP] = "seccomp",
        };

        return reason < WIRE_REASON_COUNT ? words[reason] : NULL;
}

static void report_uncovered(struct relay *relay, pid_t pid, const struct wire_uncovered *uncovered,
                             size_t len)
{
        const char *at = (const char *)(uncovered + 1),
                   *target = next_string(&at, (const char *)uncovered + len);
        const char *reason = message_uncovered_reason(uncovered->reason);
        struct event_who who = {pid, uncovered->head.tid, process_table_exe(relay->processes, pid)};
        struct event e;

        if (target == NULL || reason == NULL)
                return;
        event_begin_at(&e, EVENT_PROCESS_UNCOVERED, &who, 0, uncovered->head.time_ns);
        event_str(&e, "target", target);
        event_str(&e, "reason", reason);
        record_write(relay->record, &e);
}

void message_report(struct relay *relay, pid_t pid, const void *packet, size_t len)
{
        const struct wire_head *head = packet;

        switch ((enum wire_type)head->type) {
        case WIRE_HELLO:
                rings_forget(relay->rings, pid);
                report_hello(relay, pid, packet, len);
                return;
        case WIRE_LOOKUP:
                report_lookup(relay, pid, packet, len);
                return;
        case WIRE_FILE:
                filed_file(relay, pid, packet, len);
                return;
        case WIRE_LOCK:
                filed_lock(relay, pid, packet, len);
                return;
        case WIRE_TAP:
                tapped_message(relay, pid, packet, len);
                return;
        case WIRE_PASSED:
                report_passed(relay, pid, packet);
                return;
        case WIRE_UNCOVERED:
                report_uncovered(relay, pid, packet, len);
                return;
        case WIRE_TRUST:
                trusted_message(relay, pid, packet, len);
                return;
        case WIRE_DIAL:
        case WIRE_JOIN:
        case WIRE_VERDICT:
        case WIRE_PEER:
        case WIRE_NAME:
        case WIRE_RING:
        case WIRE_BELL:
                return;
        }
}
