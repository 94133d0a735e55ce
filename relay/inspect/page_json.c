/* Index pages in JSON; see page_json.h. */
#include "inspect/page_json.h"

#include <stdlib.h>
#include <string.h>

enum {
        DEPTH_MAX = 12, /* PyPI's own pages need five; what lies deeper is passed over */
        TEXT_CAP = 2048,
        NAME_CAP = 96
};

/* An object or array that is open. */
struct frame {
        bool is_object;
        bool is_value;      /* of an object: a colon has come, what follows is a value */
        char key[24];       /* the latest; "" if it is longer than any that matters */
        char url[TEXT_CAP]; /* "" for none */
        struct checksum sum;
        char name[NAME_CAP], version[NAME_CAP];
};

struct page_json {
        const struct page_json_events *events; /* borrowed */
        void *ctx;
        bool begun, silent; /* the first byte has come; and it begins no object or array */
        bool in_string, escaped, clipped;
        unsigned skip; /* hexadecimal digits of \u to come */
        char text[TEXT_CAP];
        size_t text_len;
        size_t depth; /* open ones; frames has the first DEPTH_MAX */
        struct frame frames[DEPTH_MAX];
};

struct page_json *page_json_new(const struct page_json_events *events, void *ctx)
{
        struct page_json *p = calloc(1, sizeof *p);

        if (p) {
                p->events = events;
                p->ctx = ctx;
        }
        return p;
}

void page_json_free(struct page_json *p)
{
        free(p);
}

static struct frame *top(struct page_json *p)
{
        return p->depth > 0 && p->depth <= DEPTH_MAX ? &p->frames[p->depth - 1] : NULL;
}

static void keep(char *out, size_t cap, const struct page_json *p)
{
        if (p->text_len < cap)
                memcpy(out, p->text, p->text_len + 1);
}

static void take_value(struct page_json *p, struct frame *f)
{
        struct checksum sum = {CHECKSUM_NONE, {0}};
        const char *key = f->key;

        if (!strcmp(key, "url") || !strcmp(key, "tarball"))
                keep(f->url, sizeof f->url, p);
        else if (!strcmp(key, "sha256") || !strcmp(key, "cksum"))
                checksum_from_hex(&sum, CHECKSUM_SHA256, p->text, p->text_len);
        else if (!strcmp(key, "sha512"))
                checksum_from_hex(&sum, CHECKSUM_SHA512, p->text, p->text_len);
        else if (!strcmp(key, "shasum"))
                checksum_from_hex(&sum, CHECKSUM_SHA1, p->text, p->text_len);
        else if (!strcmp(key, "integrity"))
                checksum_from_integrity(&sum, p->text, p->text_len);
        else if (!strcmp(key, "name"))
                keep(f->name, sizeof f->name, p);
        else if (!strcmp(key, "vers"))
                keep(f->version, sizeof f->version, p);
        else if (!strcmp(key, "dl") && p->depth == 1)
                p->events->downloads(p->ctx, p->text);
        checksum_keep(&f->sum, &sum);
}

static void end_string(struct page_json *p)
{
        struct frame *f = top(p);

        p->in_string = false;
        p->text[p->text_len] = '\0';
        if (!f || !f->is_object)
                return;
        if (!f->is_value) {
                *f->key = '\0';
                if (!p->clipped)
                        keep(f->key, sizeof f->key, p);
        } else if (!p->clipped) {
                take_value(p, f);
        }
}

static void open_frame(struct page_json *p, bool is_object)
{
        struct frame *f;

        p->depth++;
        f = top(p);
        if (!f)
                return;
        f->is_object = is_object;
        f->is_value = false;
        f->sum.kind = CHECKSUM_NONE;
        *f->key = *f->url = *f->name = *f->version = '\0';
}

/* An object has been read: it says what a file is to be, or it holds the checksums of the one
 * around it. */
static void close_frame(struct page_json *p)
{
        struct frame *f = top(p), *outer;

        if (p->depth == 0)
                return;
        p->depth--;
        if (!f || f->sum.kind == CHECKSUM_NONE)
                return;
        outer = top(p);
        if (*f->url)
                p->events->file(p->ctx, f->url, &f->sum);
        else if (*f->name && *f->version)
                p->events->crate(p->ctx, f->name, f->version, &f->sum);
        else if (outer && (!strcmp(outer->key, "hashes") || !strcmp(outer->key, "digests")))
                checksum_keep(&outer->sum, &f->sum);
}

static void add_char(struct page_json *p, char c)
{
        if (p->text_len + 1 < sizeof p->text)
                p->text[p->text_len++] = c;
        else
                p->clipped = true;
}

/* Names and URLs are of ASCII; another character, however it is written, makes them fit nothing. */
static void read_in_string(struct page_json *p, char c)
{
        if (p->skip > 0) {
                p->skip--;
        } else if (p->escaped) {
                p->escaped = false;
                p->skip = c == 'u' ? 4 : 0;
                add_char(p, c == '"' || c == '\\' || c == '/' ? c : '?');
        } else if (c == '\\') {
                p->escaped = true;
        } else if (c == '"') {
                end_string(p);
        } else {
                add_char(p, c);
        }
}

static void read_outside(struct page_json *p, char c)
{
        struct frame *f = top(p);

        switch (c) {
        case '"':
                p->in_string = true;
                p->escaped = p->clipped = false;
                p->skip = 0;
                p->text_len = 0;
                break;
        case '{':
        case '[':
                open_frame(p, c == '{');
                break;
        case '}':
        case ']':
                close_frame(p);
                break;
        case ':':
        case ',':
                if (f)
                        f->is_value = c == ':';
                break;
        default:
                break;
        }
}

void page_json_read(struct page_json *p, const char *data, size_t len)
{
        if (len > 0 && !p->begun) {
                p->begun = true;
                p->silent = memchr("{[ \t\r\n", data[0], 6) == NULL;
        }
        for (size_t i = 0; i < len && !p->silent; i++)
                if (p->in_string)
                        read_in_string(p, data[i]);
                else
                        read_outside(p, data[i]);
}
