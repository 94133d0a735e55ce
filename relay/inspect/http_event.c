/* http_event.c: how a head of HTTP looks in the record (docs/record.md): absolute URL, version,
 * headers, everything masked through record/mask.h and bounded. Used by recorder.c, which owns the
 * events themselves. */
#include "inspect/http_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "record/mask.h"

enum {
        URL_CAP = 8192,
        VALUE_CAP = 4096,
        HEADERS_CAP = 100,
        HEADERS_TOTAL_CAP = 32768, /* leaves room for the URL in one event */
};

/* The authority for a request without Host: our own idea of whom the client talks to. */
static void default_authority(const struct recorder_origin *origin, char *out, size_t cap)
{
        bool usual = origin->port == (strcmp(origin->scheme, "https") ? 80 : 443);
        bool v6 = strchr(origin->host, ':') != NULL;
        int len = snprintf(out, cap, v6 ? "[%s]" : "%s", origin->host);

        if (!usual && len > 0 && (size_t)len < cap)
                snprintf(out + len, cap - (size_t)len, ":%u", origin->port);
}

/* The request's URL (RFC 9110 section 7.1), not masked; caller frees. NULL without memory. */
static char *absolute_url(const struct recorder_origin *origin, const struct http_head *head)
{
        const struct http_header *host = http_header_get(head, "Host");
        char authority[300] = "";
        char *url = NULL;
        int target_len = (int)head->target_len;

        bool origin_form = target_len && head->target[0] == '/';
        bool asterisk = target_len == 1 && head->target[0] == '*';
        if ((!origin_form && !asterisk) || !origin->scheme)
                return strndup(head->target, head->target_len);
        if (head->authority && *head->authority)
                snprintf(authority, sizeof authority, "%s", head->authority);
        else if (host && host->value_len && host->value_len < sizeof authority)
                memcpy(authority, host->value, host->value_len);
        else if (origin->host)
                default_authority(origin, authority, sizeof authority);
        if (!*authority)
                return strndup(head->target, head->target_len);
        if (asprintf(&url, "%s://%s%.*s", origin->scheme, authority, asterisk ? 0 : target_len,
                     head->target) < 0)
                return NULL;
        return url;
}

char *http_event_url(const struct recorder_origin *origin, const struct http_head *head)
{
        char out[URL_CAP];
        char *url = absolute_url(origin, head);

        if (!url)
                return NULL;
        mask_url(url, strlen(url), out, sizeof out);
        free(url);
        return strdup(out);
}

void http_event_version(struct event *e, const struct http_head *head)
{
        char version[] = {(char)('0' + head->major % 10), '.', (char)('0' + head->minor % 10)};

        event_strn(e, "version", version, sizeof version);
        if (head->stream)
                event_int(e, "stream", head->stream);
}

void http_event_headers(struct event *e, const char *key, const struct http_header *headers,
                        size_t count)
{
        char value[VALUE_CAP];
        size_t total = 0;

        event_open_array(e, key);
        for (size_t i = 0; i < count; i++) {
                const struct http_header *header = &headers[i];
                size_t len = mask_header(header->name, header->name_len, header->value,
                                         header->value_len, value, sizeof value);
                total += header->name_len + len;
                if (i == HEADERS_CAP || total > HEADERS_TOTAL_CAP) {
                        e->clipped = true;
                        break;
                }
                event_open_array(e, NULL);
                event_strn(e, NULL, header->name, header->name_len);
                event_strn(e, NULL, value, len);
                event_close_array(e);
        }
        event_close_array(e);
}
