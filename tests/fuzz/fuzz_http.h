/* What both observers of HTTP may say, and in which order. */
#ifndef FUZZ_HTTP_H
#define FUZZ_HTTP_H

#include "fuzz.h"

#include "inspect/http.h"

struct seen {
        bool streams;         /* HTTP/2: each side counts those that it opens, by twos */
        unsigned requests[2]; /* the next number; of the server's and of the client's streams */
        unsigned answers;
};

static inline void seen_headers(const struct http_header *headers, size_t count)
{
        size_t sum = 0;

        for (size_t i = 0; i < count; i++) {
                for (size_t k = 0; k < headers[i].name_len; k++)
                        sum += (unsigned char)headers[i].name[k];
                for (size_t k = 0; k < headers[i].value_len; k++)
                        sum += (unsigned char)headers[i].value[k];
        }
        REQUIRE(sum < SIZE_MAX);
}

static inline void seen_request(void *ctx, unsigned index, const struct http_head *head)
{
        struct seen *seen = ctx;
        unsigned *next = &seen->requests[seen->streams ? index & 1 : 0];

        REQUIRE(index >= *next && head->method != NULL);
        *next = index + 1;
        seen_headers(head->headers, head->header_count);
}

static inline void seen_response(void *ctx, unsigned index, const struct http_head *head)
{
        struct seen *seen = ctx;

        (void)index;
        seen->answers++;
        seen_headers(head->headers, head->header_count);
}

static inline void seen_body(void *ctx, unsigned index, const char *data, size_t len)
{
        struct seen *seen = ctx;
        size_t sum = 0;

        (void)index;
        REQUIRE(seen->answers > 0);
        for (size_t i = 0; i < len; i++)
                sum += (unsigned char)data[i];
        REQUIRE(sum < SIZE_MAX);
}

static inline void seen_end(void *ctx, unsigned index, const struct http_end *end)
{
        struct seen *seen = ctx;

        (void)index;
        REQUIRE(!end->answered || seen->answers > 0);
        seen_headers(end->trailers, end->trailer_count);
}

static inline void seen_goaway(void *ctx, const struct http_goaway *goaway)
{
        (void)ctx;
        REQUIRE(goaway->error != NULL && goaway->debug_len < 1 << 20);
}

static inline void seen_stopped(void *ctx, const char *why)
{
        (void)ctx;
        REQUIRE(why != NULL && *why != '\0');
}

static const struct http_events seen_events = {.request = seen_request,
                                               .response = seen_response,
                                               .body = seen_body,
                                               .body_end = seen_end,
                                               .goaway = seen_goaway,
                                               .stopped = seen_stopped};

#endif
