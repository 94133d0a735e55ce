/* HTTP seen by the TLS tap; see tapped.h. The tap sends heads only, so each request gets an
 * observer of its own that is thrown away when the next one begins. Bounded: the oldest is
 * forgotten. */
#include "net/tapped.h"
#include "net/process.h"
#include "net/past.h"

#include <stdlib.h>
#include <string.h>

enum { TAPPED_MAX = 1024 };

struct tapped_key {
        uint64_t tls;
        int64_t pid;
};

struct tapped {
        struct tapped_key key;
        struct recorder *recorder; /* owned: of the request being answered */
        UT_hash_handle hh;
};

struct tapped_table {
        struct tapped *all; /* owned; in order of age */
};

struct tapped_table *tapped_table_new(void)
{
        return calloc(1, sizeof(struct tapped_table));
}

static void drop(struct tapped_table *table, struct tapped *t)
{
        HASH_DEL(table->all, t);
        recorder_free(t->recorder);
        free(t);
}

void tapped_table_free(struct tapped_table *table)
{
        while (table != NULL && table->all != NULL)
                drop(table, table->all);
        free(table);
}

static struct tapped *get(struct tapped_table *table, struct tapped_key key)
{
        struct tapped *t;

        HASH_FIND(hh, table->all, &key, sizeof key, t);
        if (t != NULL)
                return t;
        if (HASH_COUNT(table->all) >= TAPPED_MAX)
                drop(table, table->all);
        t = calloc(1, sizeof *t);
        if (t == NULL)
                return NULL;
        t->key = key;
        HASH_ADD(hh, table->all, key, sizeof key, t);
        return t;
}

static struct recorder *new_recorder(struct relay *relay, pid_t pid, pid_t tid,
                                     const struct flow *flow)
{
        struct recorder_origin origin = {
                .record = relay->record,
                .next_request = &relay->next_request,
                .who = {pid, tid, process_table_exe(relay->processes, pid)},
                .flow = flow != NULL ? flow->id : 0,
                .scheme = "https",
                .host = flow != NULL ? flow->name : NULL,
                .port = flow != NULL ? flow->port : 443,
                .source = "tap"};

        return recorder_new(&origin);
}

/* A program may give TLS memory BIOs and no descriptor (curl, asyncio): the thread's own process's
 * latest TLS connection is then the best guess there is. */
static struct flow *guess_flow(struct relay *relay, pid_t pid)
{
        struct flow *flow = NULL, *last = relay->flows != NULL ? relay->flows->prev : NULL;

        for (flow = last; flow != NULL; flow = flow == relay->flows ? NULL : flow->prev)
                if (flow->pid == pid && flow->kind == FLOW_REDIRECTED && flow->recorder == NULL &&
                    (flow->state == FLOW_TUNNEL || flow->state == FLOW_INTERCEPT))
                        return flow;
        return NULL;
}

void tapped_message(struct relay *relay, pid_t pid, const struct wire_tap *tap, size_t len)
{
        const char *data = (const char *)(tap + 1);
        struct flow *flow = flow_find(relay, flow_key(&tap->local));
        struct tapped *t;

        if (flow == NULL && past_was_inspected(relay, tap->cookie))
                return;
        if (flow == NULL)
                flow = guess_flow(relay, pid);
        /* A tap's message may come after its connection has ended, and its flow is gone. */
        if (flow != NULL ? flow->state == FLOW_INTERCEPT
                         : process_table_is_inspected(relay->processes, pid))
                return;
        t = get(relay->tapped, (struct tapped_key){tap->tls, pid});
        if (t == NULL)
                return;
        if (!tap->from_server) {
                recorder_free(t->recorder);
                t->recorder = new_recorder(relay, pid, tap->head.tid, flow);
        }
        if (t->recorder == NULL)
                return;
        if (tap->from_server)
                recorder_server(t->recorder, data, len - sizeof *tap);
        else
                recorder_client(t->recorder, data, len - sizeof *tap);
}
