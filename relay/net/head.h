/* Heads of HTTP/1 messages as a proxy has to read them (RFC 9112): strict about what could smuggle,
 * lenient where old clients differ (bare LF, no Host with HTTP/1.0, missing reason). Pure: bytes
 * in, struct out; everything points into the caller's bytes. */
#ifndef NET_HEAD_H
#define NET_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        HEAD_LINE_MAX = 8192,
        HEAD_MAX = 65536,
        HEAD_FIELDS_MAX = 256,
};

enum head_result {
        HEAD_OK,
        HEAD_MORE,      /* the end is not there yet */
        HEAD_BAD,       /* malformed: 400 */
        HEAD_LONG_LINE, /* first line over HEAD_LINE_MAX: 414 */
        HEAD_TOO_LONG,  /* head over HEAD_MAX or too many fields: 431 */
};

struct text {
        const char *at;
        size_t len;
};

struct head_field {
        struct text name, value;
};

struct head {
        struct text method, target; /* requests */
        unsigned status;            /* responses */
        struct text reason;
        unsigned minor; /* HTTP/1.minor */
        struct head_field fields[HEAD_FIELDS_MAX];
        size_t field_count;
        size_t len; /* bytes up to and with the empty line, leading empty lines included */
};

/* Parse a request's or a response's head from the start of data. */
enum head_result head_parse_request(const char *data, size_t len, struct head *out);
enum head_result head_parse_response(const char *data, size_t len, struct head *out);

/* First field of that name (case-insensitive), or NULL. */
const struct head_field *head_find(const struct head *head, const char *name);

/* How many fields of that name there are. */
size_t head_count(const struct head *head, const char *name);

/* True if any field of that name holds token in its comma-separated list. */
bool head_has_token(const struct head *head, const char *name, const char *token);

bool head_is_token_byte(unsigned char c); /* tchar of RFC 9110 section 5.6.2 */

bool text_is(struct text t, const char *word); /* exact */
bool text_is_nocase(struct text t, const char *word);

/* True if a comma-separated field value holds token, whatever its case. */
bool text_has_token(struct text t, const char *token);

/* Content-Length of the head: 0 and *len, -ENOENT when there is none, -EINVAL when malformed or
 * given twice with different values. */
int head_content_length(const struct head *head, uint64_t *len);

struct authority {
        char host[256]; /* lower case, without brackets */
        uint16_t port;
};

/* Parse authority-form "host:port" (RFC 9112 section 3.2.3); the port may be left out only if
 * default_port is not 0. Returns false for anything else: user info, a path, port 0. */
bool authority_parse(struct text t, uint16_t default_port, struct authority *out);

#endif
