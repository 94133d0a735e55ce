/* Builds the lines of a record. Owns spelling and escaping; see event.h. The text is written
 * straight into the event, with no allocation: a busy relay makes three events per connection. */
#include "record/event.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Room kept for what must always fit: the closing braces, "clipped" and the line's end. */
enum { TAIL_ROOM = 64 };

static const char *const kind_names[EVENT_KIND_COUNT] = {
        [EVENT_RUN_START] = "run.start",
        [EVENT_PROCESS_START] = "process.start",
        [EVENT_PROCESS_UNCOVERED] = "process.uncovered",
        [EVENT_NAME_LOOKUP] = "name.lookup",
        [EVENT_CONNECT] = "connect",
        [EVENT_UPSTREAM] = "upstream",
        [EVENT_TLS] = "tls",
        [EVENT_TLS_ROOTS] = "tls.roots",
        [EVENT_HTTP_REQUEST] = "http.request",
        [EVENT_HTTP_RESPONSE] = "http.response",
        [EVENT_HTTP_BODY] = "http.body",
        [EVENT_HTTP_GOAWAY] = "http.goaway",
        [EVENT_FLOW_CLOSE] = "flow.close",
        [EVENT_FILE_FAILURE] = "file.failure",
        [EVENT_LOCK_WAIT] = "lock.wait",
        [EVENT_TOOL_CLAIM] = "tool.claim",
        [EVENT_RELAY_NOTE] = "relay.note",
        [EVENT_FINDING] = "finding",
        [EVENT_RUN_END] = "run.end",
};

const char *event_kind_name(enum event_kind kind)
{
        return kind_names[kind];
}

const char *event_errno_name(int error)
{
        static _Thread_local char number[16];
        const char *name = strerrorname_np(error);

        if (name != NULL)
                return name;
        snprintf(number, sizeof number, "E%d", error);
        return number;
}

static size_t room(const struct event *e)
{
        return e->skipped > 0 || e->len > EVENT_CAP - TAIL_ROOM ? 0
                                                                : EVENT_CAP - TAIL_ROOM - e->len;
}

static void put(struct event *e, const char *text, size_t len)
{
        memcpy(e->text + e->len, text, len);
        e->len += len;
}

/* Length of the UTF-8 sequence (RFC 3629) at s, or 0 if it is not one. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
        size_t n = s[0] < 0x80   ? 1
                   : s[0] < 0xc2 ? 0
                   : s[0] < 0xe0 ? 2
                   : s[0] < 0xf0 ? 3
                   : s[0] < 0xf5 ? 4
                                 : 0;

        if (n == 0 || n > left)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
                return 0;
        if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
                return 0;
        return n;
}

/* Write one escaped character into out (at least 6 bytes). Returns its length; *used is what it
 * took from s. */
static size_t escape_one(const unsigned char *s, size_t left, char out[8], size_t *used)
{
        static const char shorts[] = "btn\0fr"; /* 0x08 to 0x0d; 0x0b has none */
        size_t n = utf8_len(s, left);

        *used = n != 0 ? n : 1;
        if (n == 0 || s[0] == '\0') {           /* many readers of JSON take no U+0000 */
                memcpy(out, "\xef\xbf\xbd", 3); /* U+FFFD */
                return 3;
        }
        if (s[0] == '"' || s[0] == '\\') {
                out[0] = '\\';
                out[1] = (char)s[0];
                return 2;
        }
        if (s[0] >= 0x08 && s[0] <= 0x0d && shorts[s[0] - 8] != '\0') {
                out[0] = '\\';
                out[1] = shorts[s[0] - 8];
                return 2;
        }
        if (s[0] < 0x20 || s[0] == 0x7f)
                return (size_t)snprintf(out, 8, "\\u%04x", s[0]);
        if (s[0] == 0xc2 && s[1] < 0xa0) /* U+0080 to U+009F: commands to a terminal */
                return (size_t)snprintf(out, 8, "\\u%04x", s[1]);
        memcpy(out, s, n);
        return n;
}

#define EACH_BYTE(x)       (UINT64_C(0x0101010101010101) * (x))
#define BYTES_BELOW(v, n)  (((v)-EACH_BYTE(n)) & ~(v))
#define BYTES_EQUAL(v, to) BYTES_BELOW((v) ^ EACH_BYTE(to), 1)

/* Whether all eight bytes stand for themselves. Each term sets the top bit of a byte that does not
 * (and may set it, by a borrow, in those above one, which changes nothing). */
static bool is_plain_word(const unsigned char *s)
{
        uint64_t v;

        memcpy(&v, s, sizeof v);
        return ((v | BYTES_BELOW(v, 0x20) | BYTES_EQUAL(v, 0x7f) | BYTES_EQUAL(v, '"') |
                 BYTES_EQUAL(v, '\\')) &
                EACH_BYTE(0x80)) == 0;
}

/* How many bytes from s on stand for themselves in JSON: most strings are nothing else. */
static size_t plain_len(const unsigned char *s, size_t len)
{
        size_t n = 0;

        while (n + 8 <= len && is_plain_word(s + n))
                n += 8;
        while (n < len && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
                n++;
        return n;
}

/* Append value as a JSON string. Returns false, with e unchanged, if it does not fit. */
static bool put_string(struct event *e, const char *value, size_t len)
{
        const unsigned char *s = (const unsigned char *)value;
        size_t start = e->len, used;
        char out[8];

        if (room(e) < 2)
                return false;
        put(e, "\"", 1);
        for (size_t i = 0; i < len; i += used) {
                const char *from = value + i;
                size_t n = used = plain_len(s + i, len - i);

                if (n == 0) {
                        n = escape_one(s + i, len - i, out, &used);
                        from = out;
                }
                if (room(e) < n + 1) {
                        e->len = start;
                        return false;
                }
                put(e, from, n);
        }
        put(e, "\"", 1);
        return true;
}

/* Append a comma if one is due, and the key. Returns false if there is no room. */
static bool put_key(struct event *e, const char *key)
{
        char last = e->text[e->len - 1];
        size_t len = key != NULL ? strlen(key) : 0;

        if (room(e) < len + 8)
                return false;
        if (last != '{' && last != '[')
                put(e, ",", 1);
        if (key == NULL)
                return true;
        put(e, "\"", 1);
        put(e, key, len);
        put(e, "\":", 2);
        return true;
}

static void clip_to(struct event *e, size_t len)
{
        e->len = len;
        e->clipped = true;
}

static void put_raw(struct event *e, const char *key, const char *text, size_t len)
{
        size_t start = e->len;

        if (!put_key(e, key) || room(e) < len) {
                clip_to(e, start);
                return;
        }
        put(e, text, len);
}

void event_strn(struct event *e, const char *key, const char *value, size_t len)
{
        size_t start = e->len;

        if (value == NULL)
                return;
        if (!put_key(e, key) || !put_string(e, value, len))
                clip_to(e, start);
}

void event_str(struct event *e, const char *key, const char *value)
{
        if (value != NULL)
                event_strn(e, key, value, strlen(value));
}

/* Write value before end, with at least that many digits. Returns where it begins. */
static char *digits_before(char *end, uint64_t value, int least)
{
        for (; least > 0 || value > 0; least--, value /= 10)
                *--end = (char)('0' + value % 10);
        return end;
}

void event_int(struct event *e, const char *key, int64_t value)
{
        char text[24], *end = text + sizeof text;
        char *at = digits_before(end, value < 0 ? -(uint64_t)value : (uint64_t)value, 1);

        if (value < 0)
                *--at = '-';
        put_raw(e, key, at, (size_t)(end - at));
}

void event_bool(struct event *e, const char *key, bool value)
{
        put_raw(e, key, value ? "true" : "false", value ? 4 : 5);
}

void event_ms(struct event *e, const char *key, int64_t microseconds)
{
        char text[32], *end = text + sizeof text, *at;
        uint64_t us = microseconds < 0 ? 0 : (uint64_t)microseconds;

        at = digits_before(end, us % 1000, 3);
        *--at = '.';
        at = digits_before(at, us / 1000, 1);
        put_raw(e, key, at, (size_t)(end - at));
}

/* When an opening bracket does not fit, the event takes nothing more until the matching close: the
 * levels below are counted in `skipped`, and room() is none while it is not zero. */
static void open_nested(struct event *e, const char *key, char bracket)
{
        size_t start = e->len;

        if (e->skipped == 0 && put_key(e, key)) {
                put(e, &bracket, 1);
                e->depth++;
                return;
        }
        clip_to(e, start);
        e->skipped++;
}

static void close_nested(struct event *e, char bracket)
{
        if (e->skipped > 0) {
                e->skipped--;
                return;
        }
        assert(e->depth > 0);
        put(e, &bracket, 1); /* TAIL_ROOM has place for it */
        e->depth--;
}

void event_open_object(struct event *e, const char *key)
{
        open_nested(e, key, '{');
}

void event_close_object(struct event *e)
{
        close_nested(e, '}');
}

void event_open_array(struct event *e, const char *key)
{
        open_nested(e, key, '[');
}

void event_close_array(struct event *e)
{
        close_nested(e, ']');
}

/* Most events share their second with the one before. */
static void put_time(struct event *e, int64_t time_ns)
{
        static _Thread_local char stamp[48]; /* of `cached`, up to its point and six digits */
        static _Thread_local size_t len;
        static _Thread_local time_t cached;
        time_t seconds = (time_t)(time_ns / 1000000000);
        struct tm tm;

        if (len == 0 || seconds != cached) {
                gmtime_r(&seconds, &tm);
                len = strftime(stamp, sizeof stamp - 8, "%Y-%m-%dT%H:%M:%S.", &tm);
                cached = seconds;
        }
        digits_before(stamp + len + 6, (uint64_t)(time_ns % 1000000000 / 1000), 6);
        stamp[len + 6] = 'Z';
        event_strn(e, "time", stamp, len + 7);
}

void event_begin_at(struct event *e, enum event_kind kind, const struct event_who *who,
                    uint64_t flow, int64_t time_ns)
{
        e->len = 0;
        e->clipped = false;
        e->depth = 0;
        e->skipped = 0;
        put(e, "{", 1);
        put_time(e, time_ns);
        event_str(e, "event", kind_names[kind]);
        if (who != NULL && who->pid > 0) {
                event_int(e, "pid", who->pid);
                if (who->tid > 0)
                        event_int(e, "tid", who->tid);
                event_str(e, "exe", who->exe);
        }
        if (flow != 0)
                event_int(e, "flow", (int64_t)flow);
}

void event_begin(struct event *e, enum event_kind kind, const struct event_who *who, uint64_t flow)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        event_begin_at(e, kind, who, flow, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

const char *event_finish(struct event *e, size_t *len)
{
        static const char clipped[] = ",\"clipped\":true";

        assert(e->depth == 0 && e->skipped == 0);
        if (e->clipped)
                put(e, clipped, sizeof clipped - 1);
        put(e, "}\n", 2);
        *len = e->len;
        return e->text;
}
