/* intercept.c: the life of one intercepted connection: made, driven from phase to phase, ended.
 * What happens in a phase is in handshake.c and pump.c. Called by net/. */
#include "inspect/intercept.h"
#include "inspect/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include <linux/sockios.h>

#include <openssl/err.h>

enum {
        HANDSHAKE_MS = 300000, /* a client that is stopped for a while may go on */
        WAIT_MS = 5,           /* between two looks at what no descriptor tells of */
        LINGER_MS = 600000,    /* an answer that takes long after the request's end may come */
};

int64_t session_now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* NULL and "" become NULL; returns false when memory is short. */
static bool copy_string(char **out, const char *s)
{
        bool some = s && *s;

        *out = some ? strdup(s) : NULL;
        return *out || !some;
}

static bool set_up(struct intercept *ic, const struct intercept_setup *setup)
{
        char *exe = NULL;

        wire_init(&ic->client.wire, setup->client_fd, WIRE_MUTE);
        wire_init(&ic->origin.wire, setup->origin_fd, WIRE_OPEN);
        if (ic->inspector->pcap) {
                wire_capture(&ic->client.wire,
                             pcap_leg_new(ic->inspector->pcap, setup->client_fd, true));
                wire_capture(&ic->origin.wire,
                             pcap_leg_new(ic->inspector->pcap, setup->origin_fd, false));
        }
        bool kept = record_is_kept(ic->inspector->record);
        if (kept)
                ic->recorder = recorder_new(setup->origin);
        bool ok = (ic->recorder || !kept) && copy_string(&ic->name, setup->name) &&
                  copy_string(&ic->address, setup->address) &&
                  copy_string(&exe, setup->origin->who.exe) &&
                  wire_preload(&ic->client.wire, setup->early, setup->early_len) == 0;
        ic->roots = setup->roots;
        ic->roots_pending = setup->roots_pending;
        ic->roots_ctx = setup->roots_ctx;
        ic->who = setup->origin->who;
        ic->who.exe = exe;
        return ok;
}

struct intercept *intercept_new(const struct intercept_setup *setup)
{
        struct intercept *ic = calloc(1, sizeof *ic);

        if (!ic)
                return NULL;
        ic->inspector = setup->inspector;
        ic->flow = setup->origin->flow;
        ic->port = setup->origin->port;
        ic->deadline_ms = session_now_ms() + HANDSHAKE_MS;
        ic->client.name = "client";
        ic->origin.name = "server";
        ic->client.alert = ic->origin.alert = -1;
        ic->client_to_server = (struct lane){.from = &ic->client, .to = &ic->origin};
        ic->server_to_client = (struct lane){.from = &ic->origin, .to = &ic->client};
        if (set_up(ic, setup))
                return ic;
        intercept_free(ic);
        errno = ENOMEM;
        return NULL;
}

void intercept_free(struct intercept *ic)
{
        if (!ic)
                return;
        pump_release(ic);
        SSL_free(ic->client.ssl);
        /* Many clients leave without close_notify. SSL_free() would take that as a reason never to
         * resume the session with the origin, as RFC 2246 wanted it; RFC 5246 section 7.2.1 does
         * not. A fatal alert still is one. */
        if (ic->origin.ssl)
                SSL_set_shutdown(ic->origin.ssl, SSL_SENT_SHUTDOWN);
        SSL_free(ic->origin.ssl);
        wire_fini(&ic->client.wire);
        wire_fini(&ic->origin.wire);
        recorder_free(ic->recorder);
        free(ic->name);
        free(ic->address);
        free(ic->resume_key);
        free((char *)ic->who.exe);
        free(ic);
}

/* The words of http.body's reason. */
static const char *body_reason(const struct intercept *ic)
{
        if (!strcmp(ic->end.how, "reset"))
                return "reset";
        return ic->end.first == ic->client.name ? "client closed" : "origin closed";
}

/* A reset overtakes what is still in our kernel for that side. Then the end is told by a FIN
 * without close_notify behind it: an error for TLS as well, and nothing that came before is lost.
 */
static bool may_abort(const struct end *end)
{
        int unsent = 0;

        return ioctl(end->wire.fd, SIOCOUTQNSD, &unsent) < 0 || unsent == 0;
}

void session_close(struct intercept *ic, const struct end *by, const char *how, const char *reason,
                   int error, const struct end *abort)
{
        if (reason != ic->reason)
                snprintf(ic->reason, sizeof ic->reason, "%s", reason);
        ic->end = (struct intercept_end){
                .first = ic->first ? ic->first : by->name,
                .how = how,
                .reason = ic->reason,
                .error = error,
                .abort_client = abort == &ic->client && may_abort(abort),
                .abort_origin = abort == &ic->origin && may_abort(abort),
        };
        ic->phase = PHASE_CLOSED;
        if (ic->recorder)
                recorder_finish(ic->recorder, body_reason(ic));
        pump_release(ic);
}

static void run_phase(struct intercept *ic)
{
        switch (ic->phase) {
        case PHASE_SNIFF:
                handshake_sniff(ic);
                break;
        case PHASE_HELLO:
                handshake_hello(ic);
                break;
        case PHASE_ORIGIN:
                handshake_origin(ic);
                break;
        case PHASE_CLIENT:
                handshake_client(ic);
                break;
        case PHASE_PUMP:
                pump_drive(ic);
                break;
        case PHASE_PASSED:
        case PHASE_CLOSED:
                break;
        }
}

void intercept_ready(struct intercept *ic, bool client, uint32_t events)
{
        wire_ready(client ? &ic->client.wire : &ic->origin.wire, events);
}

static enum intercept_result result_of(const struct intercept *ic)
{
        if (ic->phase == PHASE_PASSED)
                return INTERCEPT_PASS;
        return ic->phase == PHASE_CLOSED ? INTERCEPT_CLOSED : INTERCEPT_BUSY;
}

enum intercept_result intercept_drive(struct intercept *ic)
{
        enum phase before;

        ic->has_more = false;
        do {
                before = ic->phase;
                run_phase(ic);
        } while (ic->phase != before);
        /* What OpenSSL has to say was read at once; it must not speak for the next connection. */
        ERR_clear_error();
        return result_of(ic);
}

uint64_t intercept_limit(const struct intercept *ic)
{
        int64_t left = ic->deadline_ms - session_now_ms();

        if (ic->waiting)
                return WAIT_MS;
        if (ic->phase == PHASE_PUMP)
                return pump_is_half_ended(ic) ? LINGER_MS : 0;
        return left > 0 ? (uint64_t)left : 1;
}

enum intercept_result intercept_expire(struct intercept *ic)
{
        if (ic->waiting && session_now_ms() < ic->deadline_ms)
                return intercept_drive(ic);
        if (ic->phase == PHASE_PUMP)
                pump_expire(ic);
        else
                handshake_expire(ic);
        ERR_clear_error();
        return result_of(ic);
}

bool intercept_has_more(const struct intercept *ic)
{
        return ic->has_more;
}

const char *intercept_hello(const struct intercept *ic, size_t *len)
{
        *len = ic->client.wire.kept_len;
        return ic->client.wire.kept;
}

const struct intercept_end *intercept_end(const struct intercept *ic)
{
        return &ic->end;
}

uint64_t intercept_client_bytes(const struct intercept *ic)
{
        return ic->client.wire.bytes;
}

uint64_t intercept_server_bytes(const struct intercept *ic)
{
        return ic->origin.wire.bytes;
}

const char *intercept_sni(const struct intercept *ic)
{
        return *ic->hello.sni ? ic->hello.sni : NULL;
}
