/* Heads of HTTP/1 messages; see head.h. */
#include "net/head.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

bool text_is(struct text t, const char *word)
{
        return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

bool text_is_nocase(struct text t, const char *word)
{
        return t.len == strlen(word) && strncasecmp(t.at, word, t.len) == 0;
}

static struct text trim(struct text t)
{
        while (t.len > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) {
                t.at++;
                t.len--;
        }
        while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
                t.len--;
        return t;
}

bool text_has_token(struct text t, const char *token)
{
        while (t.len > 0) {
                const char *comma = memchr(t.at, ',', t.len);
                size_t len = comma != NULL ? (size_t)(comma - t.at) : t.len;

                if (text_is_nocase(trim((struct text){t.at, len}), token))
                        return true;
                len += comma != NULL ? 1 : 0;
                t.at += len;
                t.len -= len;
        }
        return false;
}

bool head_is_token_byte(unsigned char c)
{
        return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct text t)
{
        for (size_t i = 0; i < t.len; i++)
                if (!head_is_token_byte((unsigned char)t.at[i]))
                        return false;
        return t.len > 0;
}

/* Take the next line, without its end (CRLF or LF). Returns false if it is not complete. */
static bool next_line(const char *data, size_t len, size_t *at, struct text *line)
{
        const char *end = memchr(data + *at, '\n', len - *at);

        if (end == NULL)
                return false;
        line->at = data + *at;
        line->len = (size_t)(end - line->at);
        *at += line->len + 1;
        if (line->len > 0 && line->at[line->len - 1] == '\r')
                line->len--;
        return true;
}

static bool has_bad_bytes(struct text t)
{
        return memchr(t.at, '\r', t.len) != NULL || memchr(t.at, '\0', t.len) != NULL;
}

static bool parse_field(struct text line, struct head_field *field)
{
        const char *colon = memchr(line.at, ':', line.len);

        if (colon == NULL || has_bad_bytes(line))
                return false;
        field->name = (struct text){line.at, (size_t)(colon - line.at)};
        field->value = trim((struct text){colon + 1, line.len - field->name.len - 1});
        return is_token(field->name); /* no space before the colon, no folded line */
}

/* "HTTP/1.x"; *minor gets x. */
static bool parse_version(struct text t, unsigned *minor)
{
        if (t.len != 8 || memcmp(t.at, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)t.at[7]))
                return false;
        *minor = (unsigned)(t.at[7] - '0');
        return true;
}

static bool parse_request_line(struct text line, struct head *out)
{
        const char *first = memchr(line.at, ' ', line.len);
        const char *last = memrchr(line.at, ' ', line.len);

        if (first == NULL || first == last || has_bad_bytes(line))
                return false;
        out->method = (struct text){line.at, (size_t)(first - line.at)};
        out->target = (struct text){first + 1, (size_t)(last - first - 1)};
        if (out->target.len == 0 || memchr(out->target.at, ' ', out->target.len) != NULL)
                return false;
        return is_token(out->method) &&
               parse_version((struct text){last + 1, line.len - (size_t)(last + 1 - line.at)},
                             &out->minor);
}

static bool parse_status_line(struct text line, struct head *out)
{
        const char *code = line.at + 9;

        if (line.len < 12 || !parse_version((struct text){line.at, 8}, &out->minor) ||
            line.at[8] != ' ')
                return false;
        if (!isdigit((unsigned char)code[0]) || !isdigit((unsigned char)code[1]) ||
            !isdigit((unsigned char)code[2]) || (line.len > 12 && line.at[12] != ' '))
                return false;
        out->status = (unsigned)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
        out->reason = trim((struct text){line.at + 12, line.len - 12});
        return out->status >= 100;
}

static enum head_result more_or_long(size_t len, size_t lines)
{
        if (lines == 0 && len > HEAD_LINE_MAX)
                return HEAD_LONG_LINE;
        return len >= HEAD_MAX ? HEAD_TOO_LONG : HEAD_MORE;
}

static enum head_result parse(const char *data, size_t len, struct head *out,
                              bool (*first_line)(struct text, struct head *))
{
        struct text line;
        size_t at = 0, lines = 0;

        out->field_count = 0;
        len = len < HEAD_MAX ? len : HEAD_MAX;
        while (at < len && (data[at] == '\r' || data[at] == '\n') && at < 4)
                at++; /* RFC 9112 section 2.2: an empty line or two before the message */
        for (; next_line(data, len, &at, &line); lines++) {
                if (lines == 0 && line.len > HEAD_LINE_MAX)
                        return HEAD_LONG_LINE;
                if (lines == 0 && !first_line(line, out))
                        return HEAD_BAD;
                if (lines == 0)
                        continue;
                if (line.len == 0) {
                        out->len = at;
                        return HEAD_OK;
                }
                if (out->field_count == HEAD_FIELDS_MAX)
                        return HEAD_TOO_LONG;
                if (!parse_field(line, &out->fields[out->field_count++]))
                        return HEAD_BAD;
        }
        return more_or_long(len, lines);
}

enum head_result head_parse_request(const char *data, size_t len, struct head *out)
{
        return parse(data, len, out, parse_request_line);
}

enum head_result head_parse_response(const char *data, size_t len, struct head *out)
{
        return parse(data, len, out, parse_status_line);
}

const struct head_field *head_find(const struct head *head, const char *name)
{
        for (size_t i = 0; i < head->field_count; i++)
                if (text_is_nocase(head->fields[i].name, name))
                        return &head->fields[i];
        return NULL;
}

size_t head_count(const struct head *head, const char *name)
{
        size_t count = 0;

        for (size_t i = 0; i < head->field_count; i++)
                count += text_is_nocase(head->fields[i].name, name);
        return count;
}

bool head_has_token(const struct head *head, const char *name, const char *token)
{
        for (size_t i = 0; i < head->field_count; i++)
                if (text_is_nocase(head->fields[i].name, name) &&
                    text_has_token(head->fields[i].value, token))
                        return true;
        return false;
}

static int parse_length(struct text t, uint64_t *out)
{
        uint64_t value = 0;

        if (t.len == 0 || t.len > 18)
                return -EINVAL;
        for (size_t i = 0; i < t.len; i++) {
                if (!isdigit((unsigned char)t.at[i]))
                        return -EINVAL;
                value = value * 10 + (uint64_t)(t.at[i] - '0');
        }
        *out = value;
        return 0;
}

int head_content_length(const struct head *head, uint64_t *len)
{
        bool found = false;

        for (size_t i = 0; i < head->field_count; i++) {
                uint64_t value;

                if (!text_is_nocase(head->fields[i].name, "Content-Length"))
                        continue;
                if (parse_length(head->fields[i].value, &value) < 0 || (found && value != *len))
                        return -EINVAL;
                *len = value;
                found = true;
        }
        return found ? 0 : -ENOENT;
}

/* Copy a host in lower case. Returns false if it is too long or holds what no host name has. */
static bool copy_host(struct text t, bool literal, char *out, size_t cap)
{
        if (t.len == 0 || t.len >= cap)
                return false;
        for (size_t i = 0; i < t.len; i++) {
                unsigned char c = (unsigned char)t.at[i];

                if (!isalnum(c) && c < 0x80 && strchr(literal ? ":.%" : "-._~", c) == NULL)
                        return false;
                out[i] = (char)tolower(c);
        }
        out[t.len] = '\0';
        return true;
}

bool authority_parse(struct text t, uint16_t default_port, struct authority *out)
{
        bool literal = t.len > 0 && t.at[0] == '[';
        const char *end = t.at + t.len;
        const char *host_end = literal ? memchr(t.at, ']', t.len) : memchr(t.at, ':', t.len);
        unsigned port = 0;

        if (literal && host_end == NULL)
                return false;
        host_end = host_end != NULL ? host_end : end;
        if (!copy_host((struct text){t.at + literal, (size_t)(host_end - t.at) - literal}, literal,
                       out->host, sizeof out->host))
                return false;
        host_end += literal;
        out->port = default_port;
        if (host_end == end)
                return default_port != 0;
        if (*host_end != ':' || host_end + 1 == end)
                return false;
        for (const char *p = host_end + 1; p < end; p++) {
                if (!isdigit((unsigned char)*p) ||
                    (port = port * 10 + (unsigned)(*p - '0')) > 65535)
                        return false;
        }
        out->port = (uint16_t)port;
        return port != 0;
}
