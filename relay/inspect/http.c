/* Fields of a head; see http.h. */
#include "inspect/http.h"

#include <string.h>
#include <strings.h>

const struct http_header *http_header_get(const struct http_head *head, const char *name)
{
        size_t len = strlen(name);

        for (size_t i = 0; i < head->header_count; i++)
                if (head->headers[i].name_len == len &&
                    !strncasecmp(head->headers[i].name, name, len))
                        return &head->headers[i];
        return NULL;
}

bool http_header_begins(const struct http_header *header, const char *text)
{
        size_t len = strlen(text);

        return header && header->value_len >= len && !strncasecmp(header->value, text, len);
}
