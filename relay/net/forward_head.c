/* Heads of forwarded messages; see forward_head.h. */
#include "net/forward_head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static bool is_one_of(struct text name, const char *const *names)
{
        for (; *names != NULL; names++)
                if (text_is_nocase(name, *names))
                        return true;
        return false;
}

/* Fields that end at this hop (RFC 9110 section 7.6.1), and those that we print ourselves. What
 * frames or routes a message stays, though Connection name it. */
static bool ends_here(const struct head *head, struct text name)
{
        static const char *const ended[] = {
                "Connection",         "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
                "Transfer-Encoding",  "TE",         "Upgrade",          "Host",
                "Proxy-Authenticate", "Expect",     "Max-Forwards",     "Content-Length",
                "HTTP2-Settings",     NULL};
        static const char *const kept[] = {"Trailer",       "Via",           "Date",
                                           "Authorization", "Cache-Control", NULL};
        char word[64];

        if (is_one_of(name, ended))
                return true;
        if (is_one_of(name, kept) || name.len >= sizeof word ||
            strncasecmp(name.at, "Content-", name.len < 8 ? name.len : 8) == 0)
                return false;
        memcpy(word, name.at, name.len);
        word[name.len] = '\0';
        return head_has_token(head, "Connection", word);
}

static void print_field(FILE *out, const struct head_field *f)
{
        fprintf(out, "%.*s: %.*s\r\n", (int)f->name.len, f->name.at, (int)f->value.len,
                f->value.at);
}

static void print_named(FILE *out, const struct head *head, const char *name)
{
        for (size_t i = 0; i < head->field_count; i++)
                if (text_is_nocase(head->fields[i].name, name))
                        print_field(out, &head->fields[i]);
}

static void print_end_to_end(FILE *out, const struct head *head)
{
        for (size_t i = 0; i < head->field_count; i++)
                if (!ends_here(head, head->fields[i].name))
                        print_field(out, &head->fields[i]);
}

bool forward_target_parse(struct text target, struct forward_target *out)
{
        const char *rest = target.at + strlen("http://"), *end = target.at + target.len;
        size_t len = 0;

        while (rest + len < end && strchr("/?#", rest[len]) == NULL)
                len++;
        out->authority = (struct text){rest, len};
        out->path = (struct text){rest + len, (size_t)(end - rest) - len};
        return authority_parse(out->authority, 80, &out->to);
}

bool forward_is_upgrade(const struct head *head)
{
        return head->minor >= 1 && head_has_token(head, "Connection", "upgrade") &&
               head_find(head, "Upgrade") != NULL;
}

static void print_request_line(FILE *out, const struct forward_request *r)
{
        const struct head *head = r->head;
        struct text path = r->target->path;
        bool slash = path.len == 0 || path.at[0] != '/';

        fprintf(out, "%.*s ", (int)head->method.len, head->method.at);
        if (r->to_proxy)
                fprintf(out, "%.*s", (int)head->target.len, head->target.at);
        else if (path.len == 0 && text_is(head->method, "OPTIONS"))
                fputs("*", out); /* RFC 9112 section 3.2.4 */
        else
                fprintf(out, "%s%.*s", slash ? "/" : "", (int)path.len, path.at);
        fprintf(out, " HTTP/1.1\r\nHost: %.*s\r\n", (int)r->target->authority.len,
                r->target->authority.at);
}

/* Connection, and what it names: a change of protocol, or that trailer fields may come. */
static void print_request_connection(FILE *out, const struct head *head)
{
        bool upgrade = forward_is_upgrade(head);
        bool trailers = head->minor >= 1 && head_has_token(head, "TE", "trailers");

        if (upgrade || trailers)
                fprintf(out, "Connection: %s%s%s\r\n", upgrade ? "Upgrade" : "",
                        upgrade && trailers ? ", " : "", trailers ? "TE" : "");
        if (upgrade)
                print_named(out, head, "Upgrade");
        if (trailers)
                fputs("TE: trailers\r\n", out);
}

static void print_via(FILE *out, const struct head *head, const char *via)
{
        if (via != NULL)
                fprintf(out, "Via: 1.%u %s\r\n", head->minor, via);
}

void forward_print_request(FILE *out, const struct forward_request *r)
{
        const struct head *head = r->head;
        int max_forwards = forward_max_forwards(head);
        uint64_t length;

        print_request_line(out, r);
        print_end_to_end(out, head);
        if (max_forwards > 0)
                fprintf(out, "Max-Forwards: %d\r\n", max_forwards - 1);
        else
                print_named(out, head, "Max-Forwards");
        if (head->minor >= 1) /* RFC 9110 section 10.1.1: of an HTTP/1.0 client it is ignored */
                print_named(out, head, "Expect");
        if (head_find(head, "Transfer-Encoding") != NULL)
                fputs("Transfer-Encoding: chunked\r\n", out);
        else if (head_content_length(head, &length) == 0)
                fprintf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
        print_via(out, head, r->via);
        if (r->authorization != NULL)
                fprintf(out, "Proxy-Authorization: %s\r\n", r->authorization);
        print_request_connection(out, head);
        fputs("\r\n", out);
}

void forward_print_connect(FILE *out, const struct head *head, const char *via)
{
        if (text_is(head->method, "CONNECT"))
                print_end_to_end(out, head);
        else
                print_named(out, head, "Via");
        print_via(out, head, via);
}

static void print_date(FILE *out)
{
        char text[64];
        time_t now = time(NULL);
        struct tm tm;

        if (gmtime_r(&now, &tm) != NULL &&
            strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
                fprintf(out, "Date: %s\r\n", text);
}

static void print_response_framing(FILE *out, const struct forward_response *r)
{
        uint64_t length;

        if (r->head->status < 200 || r->head->status == 204)
                return; /* RFC 9112 section 6.2: these state no length */
        if (r->chunked)
                fputs("Transfer-Encoding: chunked\r\n", out);
        else if (!body_has_coding(r->head) && head_content_length(r->head, &length) == 0)
                fprintf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
}

void forward_print_response(FILE *out, const struct forward_response *r)
{
        const struct head *head = r->head;
        bool upgrade = r->upgrade || head->status == 426;

        fprintf(out, "HTTP/1.1 %u %.*s\r\n", head->status, (int)head->reason.len, head->reason.at);
        print_end_to_end(out, head);
        if (head->status == 407)
                print_named(out, head, "Proxy-Authenticate");
        if (head->status >= 200 && head_find(head, "Date") == NULL)
                print_date(out); /* RFC 9110 section 6.6.1 */
        print_response_framing(out, r);
        print_via(out, head, r->via);
        if (upgrade)
                print_named(out, head, "Upgrade");
        if (upgrade || r->close)
                fprintf(out, "Connection: %s%s%s\r\n", upgrade ? "Upgrade" : "",
                        upgrade && r->close ? ", " : "", r->close ? "close" : "");
        fputs("\r\n", out);
}

const char *forward_host_problem(const struct head *head)
{
        const struct head_field *host = head_find(head, "Host");
        struct authority ignored;

        if (head_count(head, "Host") > 1)
                return "it has more than one Host field";
        if (host == NULL)
                return head->minor >= 1 ? "it is HTTP/1.1 and has no Host field" : NULL;
        return host->value.len == 0 || authority_parse(host->value, 80, &ignored)
                       ? NULL
                       : "its Host field holds no host";
}

/* One member of Via: "[protocol/]version received-by [comment]". */
static bool member_names(struct text member, const char *pseudonym)
{
        const char *space = memchr(member.at, ' ', member.len);
        size_t len = 0, rest;

        if (space == NULL)
                return false;
        while (space < member.at + member.len && *space == ' ')
                space++;
        rest = (size_t)(member.at + member.len - space);
        while (len < rest && space[len] != ' ' && space[len] != '\t' && space[len] != '(')
                len++;
        return text_is_nocase((struct text){space, len}, pseudonym);
}

static bool value_names(struct text value, const char *pseudonym)
{
        while (value.len > 0) {
                const char *comma = memchr(value.at, ',', value.len);
                size_t len = comma != NULL ? (size_t)(comma - value.at) : value.len;
                size_t blank = 0;

                while (blank < len && (value.at[blank] == ' ' || value.at[blank] == '\t'))
                        blank++;
                if (member_names((struct text){value.at + blank, len - blank}, pseudonym))
                        return true;
                len += comma != NULL ? 1 : 0;
                value.at += len;
                value.len -= len;
        }
        return false;
}

bool forward_has_passed(const struct head *head, const char *pseudonym)
{
        for (size_t i = 0; pseudonym != NULL && i < head->field_count; i++)
                if (text_is_nocase(head->fields[i].name, "Via") &&
                    value_names(head->fields[i].value, pseudonym))
                        return true;
        return false;
}

int forward_max_forwards(const struct head *head)
{
        const struct head_field *f = head_find(head, "Max-Forwards");
        int value = 0;

        if (f == NULL || f->value.len == 0 || f->value.len > 6 ||
            (!text_is(head->method, "TRACE") && !text_is(head->method, "OPTIONS")))
                return -1;
        for (size_t i = 0; i < f->value.len; i++) {
                if (!isdigit((unsigned char)f->value.at[i]))
                        return -1;
                value = value * 10 + (f->value.at[i] - '0');
        }
        return value;
}

/* RFC 9112 section 9.3: a proxy keeps no connection with an HTTP/1.0 client. */
bool forward_client_persists(const struct head *head)
{
        return head->minor >= 1 && !head_has_token(head, "Connection", "close") &&
               !head_has_token(head, "Proxy-Connection", "close");
}

bool forward_server_persists(const struct head *head)
{
        if (head_has_token(head, "Connection", "close") ||
            head_has_token(head, "Proxy-Connection", "close"))
                return false;
        return head->minor >= 1 || head_has_token(head, "Connection", "keep-alive") ||
               head_has_token(head, "Proxy-Connection", "keep-alive");
}

bool forward_is_idempotent(const struct head *head)
{
        static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
                if (text_is(head->method, methods[i]))
                        return true;
        return false;
}
