/* Roots of programs; see trusted.h. */
#include "net/trusted.h"
#include "net/control.h"
#include "net/flow.h"
#include "net/process.h"

#include <string.h>

static void write_event(struct relay *relay, pid_t pid, const struct wire_trust *trust,
                        const char *path)
{
        static const char *const kinds[] = {[WIRE_TRUST_FILE] = "file",
                                            [WIRE_TRUST_DIRECTORY] = "directory",
                                            [WIRE_TRUST_SYSTEM] = "system",
                                            [WIRE_TRUST_CERTIFICATE] = "certificate"};
        struct event_who who = {pid, trust->head.tid, process_table_exe(relay->processes, pid)};
        struct event e;

        event_begin_at(&e, EVENT_TLS_ROOTS, &who, 0, trust->head.time_ns);
        event_str(&e, "kind", kinds[trust->kind]);
        event_str(&e, "path", path);
        record_write(relay->record, &e);
}

/* Those that wait look again. */
static void wake(struct relay *relay)
{
        for (struct flow *flow = relay->flows; flow != NULL; flow = flow->next)
                if (flow->state == FLOW_INTERCEPT)
                        loop_defer(relay->loop, &flow->again);
}

static void timer_reached(uv_timer_t *timer)
{
        wake(timer->data);
}

int trusted_init(struct relay *relay)
{
        relay->roots_timer.data = relay;
        return uv_timer_init(loop_uv(relay->loop), &relay->roots_timer);
}

static void load(uv_work_t *work)
{
        struct relay *relay = work->data;

        inspector_load(relay->options->inspector);
}

static void loaded(uv_work_t *work, int status)
{
        struct relay *relay = work->data;

        (void)status;
        relay->roots_working = false;
        wake(relay);
}

void trusted_prepare(struct relay *relay)
{
        relay->roots_work.data = relay;
        relay->roots_working =
                uv_queue_work(loop_uv(relay->loop), &relay->roots_work, load, loaded) == 0;
}

static void loading(struct relay *relay, pid_t pid, bool begins)
{
        roots_loading(relay->roots, pid, begins);
        if (!begins && uv_is_active((uv_handle_t *)&relay->roots_timer))
                wake(relay);
}

void trusted_message(struct relay *relay, pid_t pid, const struct wire_trust *trust, size_t len)
{
        const char *data = (const char *)(trust + 1), *path = NULL;
        enum roots_kind kind;

        len -= sizeof *trust;
        switch ((enum wire_trust_kind)trust->kind) {
        case WIRE_TRUST_FILE:
                kind = ROOTS_FILE;
                path = data;
                break;
        case WIRE_TRUST_DIRECTORY:
                kind = ROOTS_DIRECTORY;
                path = data;
                break;
        case WIRE_TRUST_SYSTEM:
                kind = ROOTS_SYSTEM;
                break;
        case WIRE_TRUST_CERTIFICATE:
                kind = ROOTS_CERTIFICATE;
                break;
        case WIRE_TRUST_LOADING:
        case WIRE_TRUST_LOADED:
                loading(relay, pid, trust->kind == WIRE_TRUST_LOADING);
                return;
        default:
                return;
        }
        if (path != NULL && (len < 2 || data[0] != '/' || data[len - 1] != '\0'))
                return;
        if (roots_add(relay->roots, pid, kind, data, len))
                write_event(relay, pid, trust, path);
}

/* What a program tells, it tells before it needs an answer: that may still wait to be read. */
X509_STORE *trusted_roots(void *flow)
{
        struct flow *f = flow;

        control_drain(f->relay);
        return roots_store(f->relay->roots, f->pid);
}

bool trusted_pending(void *flow)
{
        struct flow *f = flow;

        control_drain(f->relay);
        if (f->relay->roots_working && roots_store(f->relay->roots, f->pid) == NULL)
                return true;
        if (!roots_is_loading(f->relay->roots, f->pid))
                return false;
        uv_timer_start(&f->relay->roots_timer, timer_reached, ROOTS_LOADING_MS, 0);
        return true;
}
