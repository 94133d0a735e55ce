/* HTTP seen by the TLS tap; see tapped.h. Of HTTP/1 the tap sends heads only, so each request gets
 * an observer of its own that is thrown away when the next one begins; of HTTP/2 it sends the
 * frames that matter (tapline_wire.h), and a connection has one observer. Bounded: the oldest TLS
 * object is forgotten. */
#include "net/tapped.h"
#include "net/address.h"
#include "net/past.h"
#include "net/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TAPPED_MAX = 1024, FRAME_HEADER = 9, FRAME_DATA = 0, END_STREAM = 1 };

struct tapped_key {
        uint64_t tls;
        int64_t pid;
};

/* Frames of one direction, whose headers may come in pieces. */
struct frames {
        unsigned char header[FRAME_HEADER];
        size_t seen;
        uint32_t payload; /* bytes of it that are yet to come */
        bool prefaced;
};

struct tapped {
        struct tapped_key key;
        struct recorder *recorder; /* owned: of the request being answered, or of HTTP/2 */
        bool h2;
        uint64_t tied;   /* a flow that was found without a descriptor; 0: none */
        const char *how; /* static: by what it was found */
        struct frames client, server;
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
        if (t->hh.tbl != NULL)
                return t;
        free(t);
        return NULL;
}

/* ---- which connection ---- */

/* What an object without a descriptor (a program may give TLS memory or functions of its own: curl,
 * asyncio) says of its connection: the server's name, and for a request of HTTP/1 its Host. */
struct hint {
        char name[256];
        char host[256];
        unsigned port; /* 0: not known */
};

/* Host or its like from a head (RFC 9110 section 7.2); leaves the hint as it is if there is none.
 */
static void read_host(struct hint *hint, const char *head, size_t len)
{
        static const char field[] = "\r\nHost: ";
        enum { FIELD_LEN = sizeof field - 1, HTTPS = 443 };

        for (size_t i = 0; i + FIELD_LEN < len; i++) {
                const char *value = head + i + FIELD_LEN, *end, *colon;

                if (strncasecmp(head + i, field, FIELD_LEN) != 0)
                        continue;
                end = memchr(value, '\r', len - i - FIELD_LEN);
                if (end == NULL || (size_t)(end - value) >= sizeof hint->host)
                        return;
                memcpy(hint->host, value, (size_t)(end - value));
                colon = strrchr(hint->host, ':');
                if (colon != NULL && strchr(colon, ']') == NULL) {
                        hint->port = (unsigned)strtoul(colon + 1, NULL, 10);
                        hint->host[colon - hint->host] = '\0';
                } else {
                        hint->port = HTTPS;
                }
                return;
        }
}

static bool is_host(const struct flow *flow, const char *host)
{
        char literal[64];

        if (flow->name != NULL && strcasecmp(flow->name, host) == 0)
                return true;
        if (flow->address.family == 0)
                return false;
        address_literal(&flow->address, literal);
        return strcmp(literal, host) == 0;
}

/* How well flow fits the hint: 0 not at all, 1 by nothing but time. Whose TLS speaks has long had
 * its first bytes looked at. */
static int fit(const struct flow *flow, pid_t pid, pid_t tid, const struct hint *hint)
{
        if (flow->pid != pid || flow->kind != FLOW_REDIRECTED || flow->recorder != NULL ||
            (flow->state != FLOW_INTERCEPT && (flow->state != FLOW_TUNNEL || !flow->classified)) ||
            (hint->port != 0 && hint->port != flow->port))
                return 0;
        if ((*hint->name != '\0' && is_host(flow, hint->name)) ||
            (*hint->host != '\0' && is_host(flow, hint->host)))
                return flow->tid == tid ? 4 : 3;
        /* It is known to lead elsewhere. */
        if (*hint->name != '\0' && flow->name != NULL)
                return 0;
        return flow->tid == tid ? 2 : 1;
}

static bool is_taken(const struct tapped_table *table, const struct tapped *but, uint64_t flow)
{
        for (const struct tapped *t = table->all; t != NULL; t = t->hh.next)
                if (t != but && t->tied == flow && t->key.pid == but->key.pid)
                        return true;
        return false;
}

/* The best guess there is: of the process's TLS connections that no other object has the latest of
 * those that fit best. */
static struct flow *guess(struct relay *relay, struct tapped *t, pid_t tid, const struct hint *hint)
{
        static const char *const words[] = {NULL, "time", "thread", "name", "name"};
        struct flow *best = NULL, *flow, *last = relay->flows != NULL ? relay->flows->prev : NULL;
        int best_fit = 0;

        for (flow = last; flow != NULL; flow = flow == relay->flows ? NULL : flow->prev) {
                int fits = fit(flow, (pid_t)t->key.pid, tid, hint);

                if (fits <= best_fit || is_taken(relay->tapped, t, flow->id))
                        continue;
                best = flow;
                best_fit = fits;
        }
        t->tied = best != NULL ? best->id : 0;
        t->how = words[best_fit];
        return best;
}

/* An object has one connection for life; its messages may come after that has ended. */
static struct flow *tied_flow(struct relay *relay, struct tapped *t, pid_t tid,
                              const struct hint *hint)
{
        struct flow *flow = relay->flows;

        if (t->tied == 0)
                return guess(relay, t, tid, hint);
        while (flow != NULL && flow->id != t->tied)
                flow = flow->next;
        return flow;
}

/* ---- observing ---- */

static struct recorder *new_recorder(struct relay *relay, const struct tapped *t, pid_t tid,
                                     const struct flow *flow, const struct hint *hint)
{
        pid_t pid = (pid_t)t->key.pid;
        struct recorder_origin origin = {
                .record = relay->record,
                .next_request = &relay->next_request,
                .who = {pid, tid, process_table_exe(relay->processes, pid)},
                .flow = flow != NULL ? flow->id : t->tied,
                .scheme = "https",
                .host = flow != NULL && flow->name != NULL ? flow->name
                        : *hint->name != '\0'              ? hint->name
                                                           : NULL,
                .port = flow != NULL ? flow->port : 443,
                .source = "tap",
                .tied = t->tied != 0 ? t->how : NULL};

        return recorder_new(&origin);
}

static void feed(struct recorder *recorder, bool from_server, const void *data, size_t len)
{
        if (from_server)
                recorder_server(recorder, data, len);
        else
                recorder_client(recorder, data, len);
}

/* The payload of these does not come, tapline_wire.h. */
static bool has_payload(unsigned char type)
{
        enum { PRIORITY = 2, PING = 6, WINDOW_UPDATE = 8, TYPES = 10 };

        return type != FRAME_DATA && type != PRIORITY && type != PING && type != WINDOW_UPDATE &&
               type < TYPES;
}

/* A header is complete: hand on one that the observer can make sense of without the payload. */
static void end_header(struct recorder *recorder, bool from_server, struct frames *f)
{
        unsigned char *h = f->header;

        f->seen = 0;
        if (has_payload(h[3])) {
                f->payload = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
                feed(recorder, from_server, h, FRAME_HEADER);
        } else if (h[3] == FRAME_DATA && (h[4] & END_STREAM) != 0) {
                h[0] = h[1] = h[2] = 0;
                h[4] = END_STREAM;
                feed(recorder, from_server, h, FRAME_HEADER);
        }
}

static void feed_frames(struct recorder *recorder, bool from_server, struct frames *f,
                        const char *data, size_t len)
{
        enum { PREFACE_LEN = 24 };

        if (!from_server && !f->prefaced && len >= PREFACE_LEN) {
                feed(recorder, false, data, PREFACE_LEN);
                data += PREFACE_LEN;
                len -= PREFACE_LEN;
        }
        f->prefaced = true;
        while (len > 0) {
                size_t want = f->payload > 0 ? f->payload : FRAME_HEADER - f->seen;
                size_t n = want < len ? want : len;

                if (f->payload > 0) {
                        feed(recorder, from_server, data, n);
                        f->payload -= (uint32_t)n;
                } else {
                        memcpy(f->header + f->seen, data, n);
                        f->seen += n;
                        if (f->seen == FRAME_HEADER)
                                end_header(recorder, from_server, f);
                }
                data += n;
                len -= n;
        }
}

static bool begins_anew(const struct tapped *t, const struct wire_tap *tap, const char *data,
                        size_t len)
{
        if (!tap->h2)
                return !tap->from_server;
        return !tap->from_server && len >= 4 && memcmp(data, "PRI ", 4) == 0 &&
               t->client.seen == 0 && t->client.payload == 0;
}

static void begin(struct relay *relay, struct tapped *t, const struct wire_tap *tap,
                  const struct flow *flow, const struct hint *hint)
{
        recorder_free(t->recorder);
        t->recorder = new_recorder(relay, t, tap->head.tid, flow, hint);
        t->h2 = tap->h2;
        memset(&t->client, 0, sizeof t->client);
        memset(&t->server, 0, sizeof t->server);
}

/* Is the connection's plaintext seen by the relay itself? A tap's message may come after its
 * connection has ended, and its flow is gone. One that is not known at all went by the proxy's
 * address, or not by the relay, if the program has had such. */
static bool is_inspected(struct relay *relay, const struct flow *flow, pid_t pid, uint64_t cookie)
{
        bool was;

        if (flow != NULL)
                return flow->state == FLOW_INTERCEPT;
        if (past_was_inspected(relay, cookie, &was))
                return was;
        return process_table_is_inspected(relay->processes, pid) &&
               (cookie == 0 || !process_table_has_bypassed(relay->processes, pid));
}

void tapped_message(struct relay *relay, pid_t pid, const struct wire_tap *tap, size_t len)
{
        struct flow *flow = flow_find(relay, flow_key(&tap->local));
        struct tapped *t = get(relay->tapped, (struct tapped_key){tap->tls, pid});
        const char *data = (const char *)(tap + 1);
        struct hint hint = {0};

        len -= sizeof *tap;
        if (t == NULL)
                relay_note_lost(relay, "the HTTP of a program's TLS is not recorded", ENOMEM);
        if (t == NULL || tap->name_len > len || tap->name_len >= sizeof hint.name)
                return;
        memcpy(hint.name, data, tap->name_len);
        data += tap->name_len;
        len -= tap->name_len;
        if (!tap->h2 && !tap->from_server)
                read_host(&hint, data, len);
        if (flow == NULL && tap->cookie == 0)
                flow = tied_flow(relay, t, tap->head.tid, &hint);
        if (is_inspected(relay, flow, pid, tap->cookie))
                return;
        if (begins_anew(t, tap, data, len))
                begin(relay, t, tap, flow, &hint);
        if (t->recorder == NULL || t->h2 != tap->h2)
                return;
        if (tap->h2)
                feed_frames(t->recorder, tap->from_server,
                            tap->from_server ? &t->server : &t->client, data, len);
        else
                feed(t->recorder, tap->from_server, data, len);
}
