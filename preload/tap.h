/* What the TLS tap sends to the relay of the plaintext that a program reads and writes: heads of
 * HTTP/1, and of HTTP/2 the frames that hold heads and tell the ends of streams. Bodies are not
 * copied, nor looked at beyond their first bytes. Keeps nothing: the state of a direction of HTTP/2
 * belongs to the caller, who keeps it with the TLS object. Keeps errno. */
#ifndef PRELOAD_TAP_H
#define PRELOAD_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The TLS object (its client's random bytes, because an address is soon used again), the descriptor
 * below it (-1: not known) and the server's name (may be NULL). */
struct tap_place {
        uint64_t tls;
        int fd;
        const char *name;
        bool from_server;
};

/* Do these bytes begin a head of HTTP/1: a request's, or if from_server a response's? */
bool tap_is_head(const char *data, size_t len, bool from_server);
void tap_head(const struct tap_place *place, const char *data, size_t len);

/* Is this what a client of HTTP/2 begins with? Then TAP_FRAMES_BEGIN is the state of both
 * directions; tap_frames takes it with these bytes and all later ones. */
bool tap_is_preface(const char *data, size_t len);
#define TAP_FRAMES_BEGIN ((uint64_t)1 << 37)

/* len bytes of HTTP/2 have passed, data may be NULL if nobody has seen them (sendfile). Returns the
 * direction's new state; 0: these are no frames. */
uint64_t tap_frames(const struct tap_place *place, uint64_t state, const char *data, size_t len);

#endif
