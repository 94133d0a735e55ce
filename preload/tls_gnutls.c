/* The TLS tap on GnuTLS: the calls of gnutls_record_send(3) and gnutls_record_recv(3), in all their
 * forms. What passes is shown to tap.c. A session has no place for numbers of ours, so those of
 * HTTP/2 stand in a small table until gnutls_deinit(3) of the session. */
#include "caller.h"
#include "config.h"
#include "real.h"
#include "tap.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

/* GnuTLS's types and functions, by their names in its headers; we have none of those here. */
typedef struct gnutls_session_int *gnutls_session_t;
typedef struct mbuffer_st *gnutls_packet_t;
typedef struct {
        unsigned char *data;
        unsigned size;
} gnutls_datum_t;
struct gnutls_range_st;

void *gnutls_transport_get_ptr(gnutls_session_t session);
void gnutls_session_get_random(gnutls_session_t session, gnutls_datum_t *client,
                               gnutls_datum_t *server);
void gnutls_packet_get(gnutls_packet_t packet, gnutls_datum_t *data, unsigned char *sequence);

EXPORT int gnutls_handshake(gnutls_session_t session);
EXPORT ssize_t gnutls_record_send(gnutls_session_t session, const void *data, size_t len);
EXPORT ssize_t gnutls_record_send2(gnutls_session_t session, const void *data, size_t len,
                                   size_t pad, unsigned flags);
EXPORT ssize_t gnutls_record_send_range(gnutls_session_t session, const void *data, size_t len,
                                        const struct gnutls_range_st *range);
EXPORT ssize_t gnutls_record_send_early_data(gnutls_session_t session, const void *data,
                                             size_t len);
EXPORT ssize_t gnutls_record_send_file(gnutls_session_t session, int fd, off_t *at, size_t len);
EXPORT ssize_t gnutls_record_recv(gnutls_session_t session, void *data, size_t len);
EXPORT ssize_t gnutls_record_recv_seq(gnutls_session_t session, void *data, size_t len,
                                      unsigned char *sequence);
EXPORT ssize_t gnutls_record_recv_packet(gnutls_session_t session, gnutls_packet_t *packet);
EXPORT void gnutls_deinit(gnutls_session_t session);

enum { SESSIONS = 32, FD_MAX = 1 << 20, INVALID_SESSION = -10 };

/* Sessions with HTTP/2. A full table costs their requests, no more. */
static struct session {
        _Atomic(gnutls_session_t) session;
        _Atomic uint64_t from_client, from_server;
} sessions[SESSIONS];

static _Atomic bool any_frames; /* HTTP/2 has been seen in this process */

static struct session *find(gnutls_session_t session)
{
        for (size_t i = 0; session != NULL && i < SESSIONS; i++)
                if (sessions[i].session == session)
                        return &sessions[i];
        return NULL;
}

static struct session *find_or_make(gnutls_session_t session)
{
        struct session *found = find(session);

        for (size_t i = 0; found == NULL && i < SESSIONS; i++) {
                gnutls_session_t none = NULL;

                if (atomic_compare_exchange_strong(&sessions[i].session, &none, session))
                        found = &sessions[i];
        }
        return found;
}

/* Many give the descriptor in place of a pointer, as the manual has it; some an object of theirs.
 */
static int descriptor_of(void *caller, gnutls_session_t session)
{
        __typeof__(&gnutls_transport_get_ptr) get = CALLER_REAL(caller, gnutls_transport_get_ptr);
        uintptr_t value = get != NULL ? (uintptr_t)get(session) : FD_MAX;

        return value < FD_MAX ? (int)value : -1;
}

static uint64_t id_of(void *caller, gnutls_session_t session)
{
        __typeof__(&gnutls_session_get_random) get = CALLER_REAL(caller, gnutls_session_get_random);
        gnutls_datum_t client = {NULL, 0}, server;
        uint64_t id = (uintptr_t)session;

        if (get != NULL)
                get(session, &client, &server);
        if (client.data != NULL && client.size >= sizeof id)
                memcpy(&id, client.data, sizeof id);
        return id;
}

static struct tap_place place_of(void *caller, gnutls_session_t session, bool from_server)
{
        return (struct tap_place){.tls = id_of(caller, session),
                                  .fd = descriptor_of(caller, session),
                                  .from_server = from_server};
}

static void show_frames(void *caller, struct session *s, gnutls_session_t session, const char *data,
                        size_t len, bool from_server)
{
        struct tap_place place = place_of(caller, session, from_server);
        _Atomic uint64_t *state = from_server ? &s->from_server : &s->from_client;

        if (*state != 0)
                *state = tap_frames(&place, *state, data, len);
}

/* len bytes have passed. data is NULL where a call that was interrupted is carried on. */
static void show(void *caller, gnutls_session_t session, const char *data, size_t len,
                 bool from_server)
{
        struct session *s = any_frames ? find(session) : NULL;
        int saved = errno;

        if (s != NULL) {
                show_frames(caller, s, session, data, len, from_server);
        } else if (data != NULL && tap_is_head(data, len, from_server)) {
                struct tap_place place = place_of(caller, session, from_server);

                tap_head(&place, data, len);
        } else if (data != NULL && !from_server && tap_is_preface(data, len) &&
                   (s = find_or_make(session)) != NULL) {
                any_frames = true;
                s->from_client = s->from_server = TAP_FRAMES_BEGIN;
                show_frames(caller, s, session, data, len, false);
        }
        errno = saved;
}

/* These calls call each other through the linker, some with a jump: then their caller is the
 * program. So the outermost leaves the address of its frame while it is under way. A frame above it
 * on the stack means that it was left with longjmp(3). */
static __thread const char *outermost;

/* The handshake that is under way in this thread. In it GnuTLS sends the early data, which has been
 * shown; by way of the linker or not, as it was built. A callback of the program's may meanwhile
 * speak over another session. */
static __thread struct handshake {
        gnutls_session_t session;
        const char *frame;
} handshake;

static bool begin(gnutls_session_t session, const char *frame)
{
        if (!config.tap || (outermost != NULL && frame < outermost) ||
            (handshake.session == session && frame < handshake.frame))
                return false;
        outermost = frame;
        return true;
}

static void end(bool begun, void *caller, gnutls_session_t session, const void *data, ssize_t n,
                bool from_server)
{
        if (!begun)
                return;
        outermost = NULL;
        if (n > 0)
                show(caller, session, data, (size_t)n, from_server);
}

#define BEGIN() begin(session, __builtin_frame_address(0))

EXPORT int gnutls_handshake(gnutls_session_t session)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_handshake) real = CALLER_REAL(caller, gnutls_handshake);
        struct handshake outer = handshake;
        int result;

        handshake = (struct handshake){session, __builtin_frame_address(0)};
        result = real != NULL ? real(session) : INVALID_SESSION;
        handshake = outer;
        return result;
}

EXPORT ssize_t gnutls_record_send(gnutls_session_t session, const void *data, size_t len)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_record_send) real = CALLER_REAL(caller, gnutls_record_send);
        bool begun = BEGIN();
        ssize_t n = real != NULL ? real(session, data, len) : INVALID_SESSION;

        end(begun, caller, session, data, n, false);
        return n;
}

EXPORT ssize_t gnutls_record_send2(gnutls_session_t session, const void *data, size_t len,
                                   size_t pad, unsigned flags)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_record_send2) real = CALLER_REAL(caller, gnutls_record_send2);
        bool begun = BEGIN();
        ssize_t n = real != NULL ? real(session, data, len, pad, flags) : INVALID_SESSION;

        end(begun, caller, session, data, n, false);
        return n;
}

EXPORT ssize_t gnutls_record_send_range(gnutls_session_t session, const void *data, size_t len,
                                        const struct gnutls_range_st *range)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_record_send_range) real = CALLER_REAL(caller, gnutls_record_send_range);
        bool begun = BEGIN();
        ssize_t n = real != NULL ? real(session, data, len, range) : INVALID_SESSION;

        end(begun, caller, session, data, n, false);
        return n;
}

/* Returns 0 for success: all of it. */
EXPORT ssize_t gnutls_record_send_early_data(gnutls_session_t session, const void *data, size_t len)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_record_send_early_data) real =
                CALLER_REAL(caller, gnutls_record_send_early_data);
        bool begun = BEGIN();
        ssize_t result = real != NULL ? real(session, data, len) : INVALID_SESSION;

        end(begun, caller, session, data, result >= 0 ? (ssize_t)len : result, false);
        return result;
}

/* From a file: bodies only. */
EXPORT ssize_t gnutls_record_send_file(gnutls_session_t session, int fd, off_t *at, size_t len)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_record_send_file) real = CALLER_REAL(caller, gnutls_record_send_file);
        bool begun = BEGIN();
        ssize_t n = real != NULL ? real(session, fd, at, len) : INVALID_SESSION;

        end(begun, caller, session, NULL, n, false);
        return n;
}

EXPORT ssize_t gnutls_record_recv(gnutls_session_t session, void *data, size_t len)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_record_recv) real = CALLER_REAL(caller, gnutls_record_recv);
        bool begun = BEGIN();
        ssize_t n = real != NULL ? real(session, data, len) : INVALID_SESSION;

        end(begun, caller, session, data, n, true);
        return n;
}

EXPORT ssize_t gnutls_record_recv_seq(gnutls_session_t session, void *data, size_t len,
                                      unsigned char *sequence)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_record_recv_seq) real = CALLER_REAL(caller, gnutls_record_recv_seq);
        bool begun = BEGIN();
        ssize_t n = real != NULL ? real(session, data, len, sequence) : INVALID_SESSION;

        end(begun, caller, session, data, n, true);
        return n;
}

EXPORT ssize_t gnutls_record_recv_packet(gnutls_session_t session, gnutls_packet_t *packet)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_record_recv_packet) real =
                CALLER_REAL(caller, gnutls_record_recv_packet);
        __typeof__(&gnutls_packet_get) get = CALLER_REAL(caller, gnutls_packet_get);
        bool begun = BEGIN();
        ssize_t n = real != NULL ? real(session, packet) : INVALID_SESSION;
        gnutls_datum_t data = {NULL, 0};

        if (n > 0 && begun && packet != NULL && *packet != NULL && get != NULL)
                get(*packet, &data, NULL);
        end(begun, caller, session, data.data, (ssize_t)data.size, true);
        return n;
}

EXPORT void gnutls_deinit(gnutls_session_t session)
{
        void *caller = CALLER_ADDRESS;
        __typeof__(&gnutls_deinit) real = CALLER_REAL(caller, gnutls_deinit);
        struct session *s = any_frames ? find(session) : NULL;

        if (s != NULL) {
                s->from_client = s->from_server = 0;
                s->session = NULL;
        }
        if (real != NULL)
                real(session);
}
