/* The relay as a whole: opens its sockets, serves, drains, and gives everything back. See relay.h.
 */
#include "net/relay.h"
#include "inspect/inspector.h"
#include "inspect/promised.h"
#include "net/activation.h"
#include "net/admin.h"
#include "net/bound.h"
#include "net/bridge.h"
#include "net/control.h"
#include "net/flow.h"
#include "net/held.h"
#include "net/hold.h"
#include "net/limits.h"
#include "net/listener.h"
#include "net/madeup.h"
#include "net/names.h"
#include "net/pipe.h"
#include "net/past.h"
#include "net/process.h"
#include "net/rings.h"
#include "net/signals.h"
#include "net/tapped.h"
#include "net/trusted.h"
#include "net/tunnel.h"
#include "net/verdict.h"
#include "net/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NOTE_AGAIN_US = 60000000 };

struct handles {
        struct relay *relay;
        struct signals signals;
        struct deferred drains, reloads; /* what they close may have events in this turn */
        uv_timer_t drain;
        struct watch lifetime;
};

void relay_note(struct relay *relay, const char *format, ...)
{
        char text[512];
        va_list list;

        va_start(list, format);
        vsnprintf(text, sizeof text, format, list);
        va_end(list);
        record_note(relay->record, NULL, 0, text);
}

void relay_note_lost(struct relay *relay, const char *what, int error)
{
        if (relay_may_note(relay, &relay->noted_lost_us))
                relay_note(relay, "%s: %s", what, strerror(error));
}

bool relay_may_note(struct relay *relay, int64_t *last_us)
{
        int64_t now_us = loop_now_us(relay->loop);

        if (*last_us != 0 && now_us - *last_us < NOTE_AGAIN_US)
                return false;
        *last_us = now_us;
        return true;
}

static int adopt_sockets(struct relay *relay)
{
        const struct activation *passed = relay->options->activation;
        int result = 0;

        for (size_t i = 0; result == 0 && passed != NULL && i < passed->count; i++)
                result = (strcmp(passed->sockets[i].name, "admin") == 0 ? admin_adopt
                                                                        : listener_adopt)(
                        relay, passed->sockets[i].fd, passed->sockets[i].name);
        return result;
}

static int open_sockets(struct relay *relay)
{
        const struct relay_options *o = relay->options;
        int result = listener_open_private(relay);

        if (result < 0)
                fprintf(stderr, "tapline: cannot listen on loopback: %s%s\n", strerror(-result),
                        bound_hint(-result));
        if (result == 0 && o->socket_path != NULL) {
                relay->hold = hold_new();
                if (relay->hold == NULL)
                        relay_note(relay, "on this kernel a connection that does not block looks "
                                          "connected before it is");
        }
        for (size_t i = 0; result == 0 && o->listen != NULL && o->listen[i] != NULL; i++)
                result = listener_open(relay, o->listen[i]);
        if (result == 0 && o->admin != NULL)
                result = admin_open(relay, o->admin);
        if (result == 0)
                result = adopt_sockets(relay);
        if (result == 0 && o->socket_path != NULL) {
                result = control_open(relay, o->socket_path);
                if (result < 0)
                        fprintf(stderr, "tapline: cannot make the control socket %s: %s%s\n",
                                o->socket_path, strerror(-result), bound_hint(-result));
        }
        return result;
}

/* Two descriptors per connection: take all that this user may have. Returns how many that is. */
static uint64_t raise_descriptor_limit(void)
{
        struct rlimit limit, raised;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 1024;
        raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
        if (limit.rlim_cur == limit.rlim_max || setrlimit(RLIMIT_NOFILE, &raised) == 0)
                return limit.rlim_max;
        fprintf(stderr, "tapline: note: the limit on open files stays as it is: %s\n",
                strerror(errno));
        return limit.rlim_cur;
}

/* Two relays in a row must not take each other for themselves: a name of its own for each. */
static void choose_via(struct relay *relay)
{
        unsigned random = 0;

        relay->via = relay->options->via;
        if (relay->via != NULL && relay->via[0] == '\0')
                relay->via = NULL;
        if (relay->options->via != NULL)
                return;
        relay->via = relay->via_own;
        if (relay->via_own[0] != '\0')
                return;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
                random = (unsigned)uv_hrtime();
        snprintf(relay->via_own, sizeof relay->via_own, "tapline-%08x", random);
}

static void cannot_start(int error)
{
        fprintf(stderr, "tapline: the relay cannot start: %s%s\n", strerror(error),
                bound_hint(error));
}

int relay_new(struct relay **out, struct relay_options *options)
{
        struct relay *relay = calloc(1, sizeof *relay);
        int result = 0;

        if (relay == NULL) {
                cannot_start(ENOMEM);
                return -ENOMEM;
        }
        relay->fd_limit = raise_descriptor_limit();
        relay->options = options;
        options->users++;
        relay->record = options->record;
        choose_via(relay);
        /* Who can reach the relay can also stop it in order: what comes between the first open
         * socket and the loop waits. */
        signals_hold();
        relay->loop = loop_new();
        relay->processes = process_table_new();
        relay->rings = rings_new(relay);
        relay->names = name_table_new();
        relay->madeup = madeup_new();
        relay->tapped = tapped_table_new();
        relay->promised = promised_new();
        relay->pipes = pipe_pool_new(relay->fd_limit / 8);
        relay->roots = roots_new();
        if (relay->loop == NULL || relay->processes == NULL || relay->names == NULL ||
            relay->madeup == NULL || relay->tapped == NULL || relay->promised == NULL ||
            relay->pipes == NULL || relay->roots == NULL)
                result = errno != 0 ? -errno : -ENOMEM;
        if (result < 0)
                cannot_start(-result);
        else
                result = trusted_init(relay) < 0 ? -ENOMEM : open_sockets(relay);
        if (result < 0) {
                signals_release();
                options->users = 0; /* they stay the caller's */
                relay->options = NULL;
                relay_free(relay);
                return result;
        }
        *out = relay;
        return 0;
}

/* End of each turn: free what was closed, write what was recorded. */
static void turn(void *ctx)
{
        struct relay *relay = ctx;

        relay->turns++;
        workers_turn(relay);
        rings_turn(relay->rings);
        flow_sweep(relay);
        control_sweep(relay);
        admin_sweep(relay);
        record_flush(relay->record);
        if (relay->paused)
                listener_resume(relay);
        if (relay->draining && relay->flows == NULL)
                loop_stop(relay->loop);
}

static void drained(uv_timer_t *timer)
{
        loop_stop(timer->loop->data);
}

/* No new connections; those that are open may finish within drain_ms. */
static void start_drain(struct deferred *d)
{
        struct handles *h = (struct handles *)((char *)d - offsetof(struct handles, drains));
        struct relay *relay = h->relay;

        if (relay->draining)
                return;
        control_drain(relay);
        listener_take_waiting(relay);
        relay->draining = true;
        listener_close_all(relay);
        held_check_all(relay);
        flow_close_idle(relay);
        loop_uv(relay->loop)->data = relay->loop;
        uv_timer_start(&h->drain, drained, (uint64_t)relay->options->drain_ms, 0);
}

struct relay_options *relay_options_share(struct relay *relay)
{
        relay->options->users++;
        return relay->options;
}

void relay_options_drop(struct relay_options *options)
{
        if (--options->users == 0 && options->unused != NULL)
                options->unused(options);
}

/* New connections go by the new options, open ones keep theirs. */
static void reload(struct deferred *d)
{
        struct handles *h = (struct handles *)((char *)d - offsetof(struct handles, reloads));
        struct relay *relay = h->relay;
        struct relay_options *old = relay->options, *fresh = old->reload(old->reload_ctx);

        relay_note(relay, fresh != NULL ? "the configuration was read again"
                                        : "the configuration could not be read again, and stays");
        if (fresh == NULL) {
                relay->metrics.failed_reloads++;
                return;
        }
        relay->metrics.reloads++;
        relay->options = fresh;
        choose_via(relay);
        fresh->users++;
        relay_options_drop(old);
        limits_watch(relay);
}

static void signalled(struct signals *signals, int number)
{
        struct handles *h = (struct handles *)((char *)signals - offsetof(struct handles, signals));

        if (number == SIGHUP)
                loop_defer(h->relay->loop, &h->reloads);
        else if (h->relay->draining)
                loop_stop(h->relay->loop); /* said twice: at once */
        else
                loop_defer(h->relay->loop, &h->drains);
}

/* The relay of a run ends with its supervisor, whatever is typed at the terminal. */
static void start_signals(struct handles *h)
{
        const struct relay_options *options = h->relay->options;
        sigset_t wanted;
        int result;

        sigemptyset(&wanted);
        sigaddset(&wanted, SIGTERM);
        if (options->lifetime_fd < 0)
                sigaddset(&wanted, SIGINT);
        if (options->reload != NULL)
                sigaddset(&wanted, SIGHUP);
        h->signals = (struct signals){.told = signalled, .watch.fd = -1};
        result = signals_start(&h->signals, h->relay->loop, &wanted);
        if (result == 0)
                return;
        fprintf(stderr, "tapline: warning: a signal will end the relay at once: %s\n",
                strerror(-result));
        signals_release();
}

static void lifetime_ready(struct watch *w, uint32_t events)
{
        struct handles *h = (struct handles *)((char *)w - offsetof(struct handles, lifetime));
        char byte;

        (void)events;
        if (read(w->fd, &byte, 1) == 0) {
                loop_remove(h->relay->loop, w);
                loop_defer(h->relay->loop, &h->drains);
        }
}

static void start_handles(struct handles *h, struct relay *relay)
{
        *h = (struct handles){.relay = relay, .drains.run = start_drain, .reloads.run = reload};
        uv_timer_init(loop_uv(relay->loop), &h->drain);
        start_signals(h);
        h->lifetime = (struct watch){.ready = lifetime_ready, .fd = relay->options->lifetime_fd};
        if (h->lifetime.fd >= 0)
                loop_add_level(relay->loop, &h->lifetime);
}

static void tell_ready(const struct relay *relay)
{
        char line[32];
        int len = snprintf(line, sizeof line, "%u\n", relay->private_port);

        if (relay->options->ready_fd >= 0 &&
            write(relay->options->ready_fd, line, (size_t)len) != len)
                fprintf(stderr, "tapline: cannot report that the relay is ready\n");
}

void relay_prepare(struct relay *relay)
{
        tell_ready(
                relay); /* the command can start meanwhile: its connections wait in the backlog */
        if (relay->options->inspector != NULL)
                trusted_prepare(relay);
}

int relay_run(struct relay *relay)
{
        struct handles h;

        signal(SIGPIPE, SIG_IGN);
        start_handles(&h, relay);
        limits_watch(relay);
        loop_on_turn(relay->loop, turn, relay);
        if (workers_start(relay, relay->options->workers) < 0)
                fputs("tapline: warning: the worker threads cannot be started\n", stderr);
        loop_run(relay->loop);
        workers_stop(relay);
        control_drain(relay);
        rings_close(relay->rings);
        for (struct flow *flow = relay->flows; flow != NULL; flow = flow->next)
                flow_abort(flow, &(struct flow_end){"relay", "error", "the relay stopped", 0});
        flow_sweep(relay);
        record_flush(relay->record);
        signals_stop(&h.signals, relay->loop);
        uv_close((uv_handle_t *)&h.drain, NULL);
        uv_run(loop_uv(relay->loop), UV_RUN_NOWAIT);
        return 0;
}

bool relay_free(struct relay *relay)
{
        if (relay == NULL)
                return true;
        listener_close_all(relay);
        admin_close(relay);
        rings_free(relay->rings);
        relay->rings = NULL;
        control_close(relay);
        flow_sweep(relay);
        past_forget_all(relay);
        hold_free(relay->hold);
        bridge_end_all();
        if (!loop_free(relay->loop))
                return false;
        tapped_table_free(relay->tapped);
        promised_free(relay->promised);
        name_table_free(relay->names);
        madeup_free(relay->madeup);
        process_table_free(relay->processes);
        pipe_pool_free(relay->pipes);
        roots_free(relay->roots);
        if (relay->options != NULL)
                relay_options_drop(relay->options);
        free(relay);
        return true;
}
