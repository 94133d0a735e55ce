/* net/body.c and net/forward_head.c: what a forwarded message becomes is framed as it came, whoever
 * reads it, and however its bytes were cut into packets. */
#include "fuzz.h"

#include "net/forward_head.h"

static char *printed;
static size_t printed_len;

static void look_at_request(const struct head *head)
{
        static struct head again;
        struct forward_target target;
        struct body body, body_again;
        struct forward_request r = {.head = head, .target = &target, .via = "me"};
        FILE *out;

        if (body_of_request(head, &body) != NULL || forward_host_problem(head) != NULL ||
            head->target.len < 7 || strncasecmp(head->target.at, "http://", 7) != 0 ||
            !forward_target_parse(head->target, &target))
                return;
        out = open_memstream(&printed, &printed_len);
        forward_print_request(out, &r);
        fclose(out);
        if (head_parse_request(printed, printed_len, &again) == HEAD_OK) {
                REQUIRE(again.len == printed_len);
                REQUIRE(body_of_request(&again, &body_again) == NULL);
                REQUIRE(body_again.kind == body.kind && body_again.left == body.left);
                REQUIRE(head_count(&again, "Host") == 1 && forward_host_problem(&again) == NULL);
                REQUIRE(head_find(&again, "Proxy-Authorization") == NULL);
                REQUIRE(forward_has_passed(&again, "me"));
        } else {
                REQUIRE(head->field_count > HEAD_FIELDS_MAX - 8 || printed_len > HEAD_MAX - 64 ||
                        head->target.len > HEAD_LINE_MAX - 64);
        }
        free(printed);
}

static void look_at_response(const struct head *head)
{
        static struct head again;
        struct body body, body_again;
        struct forward_response r = {.head = head, .body = &body, .via = "me"};
        bool faulty;
        FILE *out;

        if (body_of_response(head, false, &body, &faulty) != NULL)
                return;
        r.chunked = body.kind == BODY_CHUNKED;
        out = open_memstream(&printed, &printed_len);
        forward_print_response(out, &r);
        fclose(out);
        if (head_parse_response(printed, printed_len, &again) == HEAD_OK) {
                REQUIRE(again.len == printed_len && again.status == head->status);
                REQUIRE(body_of_response(&again, false, &body_again, &faulty) == NULL && !faulty);
                REQUIRE(body_again.kind == body.kind && body_again.left == body.left);
        } else {
                REQUIRE(head->field_count > HEAD_FIELDS_MAX - 8 || printed_len > HEAD_MAX - 128 ||
                        head->reason.len > HEAD_LINE_MAX - 64);
        }
        free(printed);
}

/* The first piece has cut bytes. Returns how many belong to the body, or -1 if it is not one. */
static long take(const uint8_t *data, size_t len, size_t cut, bool coding_stays, size_t *content)
{
        struct body b = {.kind = BODY_CHUNKED, .coding_stays = coding_stays};
        size_t total = 0, pieces[2] = {cut, len - cut};

        *content = 0;
        for (size_t i = 0; i < 2; i++) {
                char *piece = fuzz_copy(data + total, pieces[i]);
                size_t used, kept;
                enum body_result result = body_take(&b, piece, pieces[i], &used, &kept);

                free(piece);
                if (result == BODY_BAD)
                        return -1;
                REQUIRE(used <= pieces[i] && kept <= used && (kept == used || !coding_stays));
                REQUIRE((result == BODY_DONE) == body_is_done(&b));
                total += used;
                *content += kept;
                if (result == BODY_DONE)
                        break;
                REQUIRE(used == pieces[i]);
        }
        return (long)total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct head head;
        size_t cut = len > 0 ? data[0] % len : 0, whole, stripped, in_two;
        char *copy = fuzz_copy(data, len);
        long used;

        if (head_parse_request(copy, len, &head) == HEAD_OK)
                look_at_request(&head);
        if (head_parse_response(copy, len, &head) == HEAD_OK)
                look_at_response(&head);
        free(copy);
        used = take(data, len, 0, true, &whole);
        REQUIRE(take(data, len, cut, true, &in_two) == used);
        REQUIRE(take(data, len, cut, false, &stripped) == used);
        REQUIRE(used < 0 || (in_two == whole && stripped <= whole));
        return 0;
}
