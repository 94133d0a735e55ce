/* net/head.c: heads of requests and responses, CONNECT's target, Content-Length. */
#include "fuzz.h"

#include "net/head.h"

static void look(const struct head *head, const char *data, size_t len)
{
        struct authority to;
        uint64_t length;

        REQUIRE(head->len <= len && head->field_count <= HEAD_FIELDS_MAX);
        for (size_t i = 0; i < head->field_count; i++) {
                const struct head_field *f = &head->fields[i];

                REQUIRE(f->name.at >= data && f->value.at + f->value.len <= data + len);
                REQUIRE(memchr(f->value.at, '\n', f->value.len) == NULL);
        }
        head_content_length(head, &length);
        if (head->target.at != NULL && authority_parse(head->target, 443, &to))
                REQUIRE(to.port != 0 && strlen(to.host) < sizeof to.host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct head head, again;
        char *copy = fuzz_copy(data, len);

        if (head_parse_request(copy, len, &head) == HEAD_OK) {
                look(&head, copy, len);
                /* The head's end is its own: more bytes behind it change nothing, fewer make it
                 * incomplete. */
                REQUIRE(head_parse_request(copy, head.len, &again) == HEAD_OK);
                REQUIRE(again.len == head.len && again.field_count == head.field_count);
                REQUIRE(head_parse_request(copy, head.len - 1, &again) == HEAD_MORE);
        }
        memset(&head, 0, sizeof head);
        if (head_parse_response(copy, len, &head) == HEAD_OK)
                look(&head, copy, len);
        free(copy);
        return 0;
}
