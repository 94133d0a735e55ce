/* What the observers of HTTP tell, whichever version they read: http1.c (RFC 9112) and http2.c (RFC
 * 9113). Heads and ends of bodies, never bodies themselves unless somebody asks for them. */
#ifndef INSPECT_HTTP_H
#define INSPECT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_header {
        const char *name;
        const char *value;
        uint32_t name_len;
        uint32_t value_len;
};

/* A complete head; all pointers are borrowed and valid during the callback only. */
struct http_head {
        const char *method; /* request only */
        const char *target; /* request only */
        size_t target_len;
        const char *scheme;    /* HTTP/2 request only; NULL when not said */
        const char *authority; /* the same */
        unsigned status;       /* response only */
        const char *reason;
        size_t reason_len;
        unsigned major, minor;
        const struct http_header *headers;
        size_t header_count;
        int64_t content_length; /* -1: not stated */
        uint32_t stream;        /* HTTP/2's; 0: none */
        bool clipped;           /* there were more headers than are kept */
};

/* The first field of this name, or NULL; does its value begin so (without case)? NULL does not. */
const struct http_header *http_header_get(const struct http_head *head, const char *name);
bool http_header_begins(const struct http_header *header, const char *text);

enum http_how {
        HTTP_COMPLETE,
        HTTP_CUT,          /* the connection ended first */
        HTTP_CLIENT_RESET, /* HTTP/2: the client reset the stream */
        HTTP_SERVER_RESET, /* HTTP/2: the server did */
        HTTP_SHORT         /* HTTP/2: ended in order with other than the stated length */
};

/* How the body of a response ended. */
struct http_end {
        enum http_how how;
        uint64_t bytes;    /* after chunked decoding */
        bool answered;     /* the response's head was reported before */
        const char *error; /* HTTP/2's name of the error code, or NULL */
        const struct http_header *trailers;
        size_t trailer_count;
};

struct http_goaway {
        bool from_server;
        const char *error;    /* name of the code */
        uint32_t last_stream; /* later ones were not looked at */
        const char *debug;    /* text of the peer's, not masked; may be empty */
        size_t debug_len;
};

/* index pairs the callbacks of one exchange: HTTP/1 counts the connection's requests from 0, for
 * HTTP/2 it is the stream. 1xx responses are not reported, except 101. */
struct http_events {
        void (*request)(void *ctx, unsigned index, const struct http_head *head);
        void (*response)(void *ctx, unsigned index, const struct http_head *head);
        /* Content of a response's body, after chunked decoding; NULL: not wanted. */
        void (*body)(void *ctx, unsigned index, const char *data, size_t len);
        /* Is this response's body wanted? Asked after its head; NULL: each is, if body is set. */
        bool (*wants_body)(void *ctx, unsigned index);
        void (*body_end)(void *ctx, unsigned index, const struct http_end *end);
        void (*goaway)(void *ctx, const struct http_goaway *goaway);
        /* HTTP/2: there was no memory for what ("a request"), which is not told. May be NULL. */
        void (*lost)(void *ctx, const char *what);
        /* The observer gives up on what it cannot understand or keep; why is one clause. May be
         * NULL where http2.c is not fed. */
        void (*stopped)(void *ctx, const char *why);
};

#endif
