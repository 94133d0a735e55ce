/* Bodies and what was said of them; see body_check.h. */
#include "inspect/body_check.h"
#include "inspect/stated.h"

#include <stdlib.h>
#include <string.h>

struct body_check {
        EVP_MD_CTX *sha256;      /* owned; for the head's word or the user; NULL: not wanted */
        char stated[SHA256_HEX]; /* by the head; "" for none */
        EVP_MD_CTX *other;       /* owned; for the index's word; NULL: there is none */
        struct checksum promised;
        uint64_t request; /* whose answer said so */
};

static EVP_MD_CTX *begin(enum checksum_kind kind)
{
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        if (ctx && EVP_DigestInit_ex(ctx, checksum_md(kind), NULL) == 1)
                return ctx;
        EVP_MD_CTX_free(ctx);
        return NULL;
}

/* What is packed for its way only is not the file that an index speaks of. */
static bool is_packed(const struct http_head *head)
{
        const struct http_header *coding = http_header_get(head, "Content-Encoding");

        return coding && !http_header_begins(coding, "identity");
}

struct body_check *body_check_new(const struct http_head *answer, const char *url,
                                  const struct promised *promised, bool always)
{
        struct body_check *check = calloc(1, sizeof *check);

        if (!check)
                return NULL;
        bool stated = answer->status == 200 && stated_sha256(answer, check->stated);

        if (!stated)
                *check->stated = '\0';
        if (stated || always)
                check->sha256 = begin(CHECKSUM_SHA256);
        if (promised && url && answer->status == 200 && !is_packed(answer) &&
            promised_find(promised, url, &check->promised, &check->request))
                check->other = begin(check->promised.kind);
        if (check->sha256 || check->other)
                return check;
        body_check_free(check);
        return NULL;
}

void body_check_free(struct body_check *check)
{
        if (!check)
                return;
        EVP_MD_CTX_free(check->sha256);
        EVP_MD_CTX_free(check->other);
        free(check);
}

void body_check_read(struct body_check *check, const char *data, size_t len)
{
        if (check->sha256)
                EVP_DigestUpdate(check->sha256, data, len);
        if (check->other)
                EVP_DigestUpdate(check->other, data, len);
}

static bool finish(EVP_MD_CTX *ctx, enum checksum_kind kind, struct checksum *sum)
{
        sum->kind = kind;
        return ctx && EVP_DigestFinal_ex(ctx, sum->bytes, NULL) == 1;
}

void body_check_write(struct body_check *check, struct event *e)
{
        char text[CHECKSUM_TEXT];
        struct checksum sum;

        if (finish(check->sha256, CHECKSUM_SHA256, &sum)) {
                checksum_print_hex(&sum, text);
                event_str(e, "sha256", text);
                if (*check->stated)
                        event_str(e, "stated_sha256", check->stated);
        }
        if (!finish(check->other, check->promised.kind, &sum))
                return;
        checksum_print(&sum, text);
        event_str(e, "digest", text);
        checksum_print(&check->promised, text);
        event_str(e, "index_digest", text);
        event_int(e, "index_request", (int64_t)check->request);
}
