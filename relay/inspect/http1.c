/* http1.c: observes one HTTP/1.x connection (RFC 9112). Framing is left to llhttp or, where that is
 * not packaged, to its elder http-parser; http1_parser.h alone knows which. Owns the text of
 * at most one head per direction, and none between heads. Knows nothing of records (recorder.c)
 * or of TLS. */
#include "inspect/http1.h"
#include "inspect/http1_parser.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
        TEXT_CAP = 65536, /* bytes of one head; longer ones are not HTTP that we want to know */
        HEADERS_CAP = 1000,
        PIPELINE_CAP = 128 /* requests without a response; power of two */
};

/* What a response has to know of its request. */
enum request_kind { REQUEST_PLAIN, REQUEST_HEAD, REQUEST_CONNECT, REQUEST_UPGRADE };

/* A head while it is read. text holds target or reason, then name, value, name, value...; the
 * headers carry only lengths until the head is complete, because text moves as it grows. */
struct head {
        char *text; /* owned, NULL between heads */
        size_t len, cap;
        size_t start_len;            /* of target or reason */
        struct http_header *headers; /* owned, NULL between heads */
        size_t count, room;
        const char *lack; /* why it could not be kept; NULL: it is */
        bool in_value;    /* the last piece belonged to a value */
        bool complete;    /* what follows are trailers */
};

struct side {
        struct http1 *h; /* borrowed: the owner */
        struct parser parser;
        struct head head;
        bool dead; /* no longer parsed */
};

struct http1 {
        const struct http_events *events; /* borrowed */
        void *ctx;                        /* borrowed */
        struct side client, server;
        unsigned requests;           /* heads seen */
        unsigned responses;          /* final responses that have ended */
        uint8_t kinds[PIPELINE_CAP]; /* enum request_kind, by index */
        uint64_t body_bytes;
        uint64_t body_left; /* of a body of stated length; 0: not known, or at its end */
        bool body_wanted;   /* its bytes are to be shown */
        bool body_open;     /* a response's head was reported, its end was not */
        bool interim;       /* reading a 1xx */
        bool awaiting;      /* the client asked to leave HTTP; the answer decides */
        bool paused;        /* that request has ended: what the client sends now may be anything */
        bool lost;          /* client bytes went by unread while paused */
        bool silent;
};

static void head_reset(struct head *head)
{
        free(head->text);
        free(head->headers);
        memset(head, 0, sizeof *head);
}

static void silence(struct http1 *h)
{
        h->silent = true;
        h->client.dead = h->server.dead = true;
        head_reset(&h->client.head);
        head_reset(&h->server.head);
}

static int head_fails(struct head *head, const char *why)
{
        head->lack = why;
        return -1;
}

/* Returns 0, or -1 when the head is too long or memory is short; -1 stops the parser. */
static int head_add(struct head *head, const char *data, size_t len)
{
        if (len > TEXT_CAP - head->len)
                return head_fails(head, "a head is too long");
        if (head->len + len > head->cap) {
                size_t cap = head->cap ? head->cap : 1024;
                while (cap < head->len + len)
                        cap *= 2;
                char *text = realloc(head->text, cap);
                if (!text)
                        return head_fails(head, "out of memory");
                head->text = text;
                head->cap = cap;
        }
        if (len)
                memcpy(head->text + head->len, data, len);
        head->len += len;
        return 0;
}

static int head_new_header(struct head *head)
{
        if (head->count == HEADERS_CAP)
                return head_fails(head, "a head has too many fields");
        if (head->count == head->room) {
                size_t room = head->room ? head->room * 2 : 16;
                struct http_header *headers = realloc(head->headers, room * sizeof *headers);
                if (!headers)
                        return head_fails(head, "out of memory");
                head->headers = headers;
                head->room = room;
        }
        memset(&head->headers[head->count++], 0, sizeof *head->headers);
        return 0;
}

/* Turn lengths into pointers, without the blanks around values (RFC 9112 section 5.1). */
static void head_point(struct head *head)
{
        const char *at;

        if (head->text == NULL)
                return;
        at = head->text + head->start_len;
        for (size_t i = 0; i < head->count; i++) {
                struct http_header *header = &head->headers[i];
                header->name = at;
                header->value = at += header->name_len;
                at += header->value_len;
                while (header->value_len && strchr(" \t\r\n", header->value[header->value_len - 1]))
                        header->value_len--;
        }
}

static int on_message_begin(PARSER *p)
{
        struct side *side = p->data;

        head_reset(&side->head);
        return 0;
}

static int on_start(PARSER *p, const char *data, size_t len)
{
        struct head *head = &((struct side *)p->data)->head;

        head->start_len += len;
        return head_add(head, data, len);
}

static int on_field(PARSER *p, const char *data, size_t len)
{
        struct head *head = &((struct side *)p->data)->head;

        if (head->complete)
                return 0;
        if ((head->in_value || !head->count) && head_new_header(head) < 0)
                return -1;
        head->in_value = false;
        head->headers[head->count - 1].name_len += (uint32_t)len;
        return head_add(head, data, len);
}

static int on_value(PARSER *p, const char *data, size_t len)
{
        struct head *head = &((struct side *)p->data)->head;

        if (head->complete || !head->count)
                return 0;
        head->in_value = true;
        head->headers[head->count - 1].value_len += (uint32_t)len;
        return head_add(head, data, len);
}

/* Fill what both kinds of head share. */
static void head_describe(struct head *head, const PARSER *p, struct http_head *out)
{
        head_point(head);
        memset(out, 0, sizeof *out);
        out->major = p->http_major;
        out->minor = p->http_minor;
        out->headers = head->headers;
        out->header_count = head->count;
        out->content_length = -1;
        if ((p->flags & STATED_LENGTH) && p->content_length <= INT64_MAX)
                out->content_length = (int64_t)p->content_length;
}

static enum request_kind kind_of(const char *method, bool upgrade)
{
        if (!strcmp(method, "HEAD"))
                return REQUEST_HEAD;
        if (!strcmp(method, "CONNECT"))
                return REQUEST_CONNECT;
        return upgrade ? REQUEST_UPGRADE : REQUEST_PLAIN;
}

static int on_request_head(PARSER *p)
{
        struct side *side = p->data;
        struct http1 *h = side->h;
        struct http_head head;

        if (h->requests - h->responses >= PIPELINE_CAP)
                return head_fails(&side->head, "too many requests wait for their answers");
        head_describe(&side->head, p, &head);
        head.method = METHOD_NAME(p->method);
        head.target = side->head.text;
        head.target_len = side->head.start_len;
        enum request_kind kind = kind_of(head.method, p->upgrade);
        h->kinds[h->requests % PIPELINE_CAP] = (uint8_t)kind;
        h->awaiting = kind == REQUEST_CONNECT || kind == REQUEST_UPGRADE;
        /* Most servers ignore Upgrade; the message ends as any other, and the answer decides. */
        p->upgrade = 0;
        h->events->request(h->ctx, h->requests++, &head);
        head_reset(&side->head);
        side->head.complete = true;
        return 0;
}

static int on_request_end(PARSER *p)
{
        struct http1 *h = ((struct side *)p->data)->h;

        h->paused = h->awaiting;
        return h->paused ? parser_pause(p) : 0;
}

static enum request_kind answered_kind(const struct http1 *h)
{
        if (h->responses >= h->requests)
                return REQUEST_PLAIN; /* an answer to nothing, as 408 on an idle connection */
        return h->kinds[h->responses % PIPELINE_CAP];
}

/* RFC 9112 section 6.3, first three cases. */
static bool has_no_body(unsigned status, enum request_kind kind)
{
        return kind == REQUEST_HEAD || status / 100 == 1 || status == 204 || status == 304;
}

static bool leaves_http(unsigned status, enum request_kind kind)
{
        return status == 101 || (kind == REQUEST_CONNECT && status / 100 == 2);
}

static void report_response(struct side *side, const PARSER *p)
{
        struct http1 *h = side->h;
        struct http_head head;

        head_describe(&side->head, p, &head);
        head.status = p->status_code;
        head.reason = side->head.text;
        head.reason_len = side->head.start_len;
        h->events->response(h->ctx, h->responses, &head);
        head_reset(&side->head);
        side->head.complete = true;
}

/* A chunked body's length shows only in its chunks, whatever the head says. */
static bool has_stated_length(const PARSER *p)
{
        return (p->flags & STATED_LENGTH) && !(p->flags & F_CHUNKED) &&
               p->content_length <= INT64_MAX;
}

static int on_response_head(PARSER *p)
{
        struct side *side = p->data;
        struct http1 *h = side->h;
        unsigned status = p->status_code;
        enum request_kind kind = answered_kind(h);

        p->upgrade = 0;
        h->interim = status / 100 == 1 && status != 101;
        if (h->interim)
                return 1;
        report_response(side, p);
        if (leaves_http(status, kind)) {
                silence(h);
                return -1;
        }
        h->body_open = true;
        h->body_bytes = 0;
        h->body_wanted = h->events->body &&
                         (!h->events->wants_body || h->events->wants_body(h->ctx, h->responses));
        if (has_stated_length(p) && !has_no_body(status, kind))
                h->body_left = p->content_length;
        return has_no_body(status, kind) ? 1 : 0;
}

static int on_response_body(PARSER *p, const char *data, size_t len)
{
        struct http1 *h = ((struct side *)p->data)->h;

        h->body_bytes += len;
        h->body_left -= h->body_left < len ? h->body_left : len;
        if (h->body_wanted)
                h->events->body(h->ctx, h->responses, data, len);
        return 0;
}

static void report_end(struct http1 *h, unsigned index, enum http_how how)
{
        struct http_end end = {.how = how, .bytes = h->body_bytes, .answered = true};

        h->events->body_end(h->ctx, index, &end);
}

/* The client asked to leave HTTP and the server said no: its next bytes are a request again. */
static void end_waiting(struct http1 *h)
{
        h->awaiting = false;
        if (h->lost)
                h->client.dead = true;
        else if (h->paused)
                parser_resume(&h->client.parser);
        h->paused = false;
}

static int on_response_end(PARSER *p)
{
        struct http1 *h = ((struct side *)p->data)->h;

        if (h->interim)
                return 0;
        h->body_open = false;
        h->body_left = 0;
        report_end(h, h->responses++, HTTP_COMPLETE);
        if (h->responses > h->requests)
                h->requests = h->responses; /* keep the pairing of what follows */
        if (h->awaiting && h->responses == h->requests)
                end_waiting(h);
        return 0;
}

static const SETTINGS request_settings = {
        .on_message_begin = on_message_begin,
        .on_url = on_start,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_request_head,
        .on_message_complete = on_request_end,
};

static const SETTINGS response_settings = {
        .on_message_begin = on_message_begin,
        .on_status = on_start,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_response_head,
        .on_body = on_response_body,
        .on_message_complete = on_response_end,
};

struct http1 *http1_new(const struct http_events *events, void *ctx)
{
        struct http1 *h = calloc(1, sizeof *h);

        if (!h)
                return NULL;
        h->events = events;
        h->ctx = ctx;
        h->client.h = h->server.h = h;
        parser_init(&h->client.parser, false, &request_settings, &h->client);
        parser_init(&h->server.parser, true, &response_settings, &h->server);
        return h;
}

void http1_free(struct http1 *h)
{
        if (!h)
                return;
        silence(h);
        free(h);
}

/* A client that turned to something else still gets the answers to what it asked before. */
static void fall_silent_when_done(struct http1 *h)
{
        if (h->client.dead && !h->body_open && h->responses >= h->requests)
                silence(h);
}

/* What is no HTTP is nobody's loss; what we could not keep is told. */
static void tell_lack(struct http1 *h, const struct side *side)
{
        if (side->head.lack && h->events->stopped)
                h->events->stopped(h->ctx, side->head.lack);
}

void http1_client(struct http1 *h, const char *data, size_t len)
{
        enum fed fed = FED_PAUSED;
        size_t used = 0;

        if (h->client.dead || !len)
                return;
        if (!h->paused)
                fed = parser_feed(&h->client.parser, &request_settings, data, len, &used);
        if (fed == FED_PAUSED && used < len)
                h->lost = true;
        if (fed == FED_ERROR) {
                tell_lack(h, &h->client);
                h->client.dead = true;
                head_reset(&h->client.head);
                fall_silent_when_done(h);
        }
}

void http1_server(struct http1 *h, const char *data, size_t len)
{
        size_t used;

        if (h->server.dead || !len)
                return;
        if (parser_feed(&h->server.parser, &response_settings, data, len, &used) == FED_ERROR) {
                tell_lack(h, &h->server);
                silence(h);
        } else {
                fall_silent_when_done(h);
        }
}

uint64_t http1_server_left(const struct http1 *h)
{
        return h->server.dead || !h->body_open || h->body_wanted ? 0 : h->body_left;
}

/* The parser counts a body's bytes without reading them. */
void http1_server_skip(struct http1 *h, uint64_t bytes)
{
        static const char unread[65536];

        while (bytes > 0) {
                size_t len = bytes < sizeof unread ? (size_t)bytes : sizeof unread;

                http1_server(h, unread, len);
                bytes -= len;
        }
}

void http1_server_eof(struct http1 *h)
{
        size_t used;

        if (h->server.dead)
                return;
        parser_feed(&h->server.parser, &response_settings, NULL, 0, &used);
        silence(h);
}

void http1_finish(struct http1 *h)
{
        if (h->body_open) {
                h->body_open = false;
                report_end(h, h->responses, HTTP_CUT);
        }
        silence(h);
}

bool http1_is_active(const struct http1 *h)
{
        return !h->silent;
}
