/* The library that frames HTTP/1 messages, behind a few functions: llhttp or, where that is not
 * packaged, its elder http-parser. Included by http1.c only. */
#ifndef INSPECT_HTTP1_PARSER_H
#define INSPECT_HTTP1_PARSER_H

#include <stdbool.h>
#include <stddef.h>

enum fed { FED_ALL, FED_PAUSED, FED_ERROR };

#if __has_include(<llhttp.h>)
#include <llhttp.h>

struct parser {
        llhttp_t p;
};
#define PARSER         llhttp_t
#define SETTINGS       llhttp_settings_t
#define STATED_LENGTH  F_CONTENT_LENGTH
#define METHOD_NAME(m) llhttp_method_name((llhttp_method_t)(m))

static inline void parser_init(struct parser *parser, bool server, const SETTINGS *settings,
                               void *data)
{
        llhttp_init(&parser->p, server ? HTTP_RESPONSE : HTTP_REQUEST, settings);
        parser->p.data = data;
        if (server)
                llhttp_set_lenient_chunked_length(&parser->p, 1);
}

static inline enum fed parser_feed(struct parser *parser, const SETTINGS *settings,
                                   const char *data, size_t len, size_t *used)
{
        llhttp_errno_t error =
                len ? llhttp_execute(&parser->p, data, len) : llhttp_finish(&parser->p);

        (void)settings;
        *used = error == HPE_OK || !len ? len : (size_t)(llhttp_get_error_pos(&parser->p) - data);
        if (error == HPE_PAUSED)
                return FED_PAUSED;
        return error == HPE_OK ? FED_ALL : FED_ERROR;
}

static inline int parser_pause(PARSER *p)
{
        (void)p;
        return HPE_PAUSED;
}

static inline void parser_resume(struct parser *parser)
{
        llhttp_resume(&parser->p);
}

#else
#include <http_parser.h>

struct parser {
        http_parser p;
};
#define PARSER         http_parser
#define SETTINGS       http_parser_settings
#define STATED_LENGTH  F_CONTENTLENGTH
#define METHOD_NAME(m) http_method_str((enum http_method)(m))

static inline void parser_init(struct parser *parser, bool server, const SETTINGS *settings,
                               void *data)
{
        (void)settings;
        http_parser_init(&parser->p, server ? HTTP_RESPONSE : HTTP_REQUEST);
        parser->p.data = data;
        /* Both Content-Length and chunked: clients read it as chunked (RFC 9112 section 6.3). */
        parser->p.allow_chunked_length = server;
}

/* len 0 says that the stream has ended. */
static inline enum fed parser_feed(struct parser *parser, const SETTINGS *settings,
                                   const char *data, size_t len, size_t *used)
{
        *used = http_parser_execute(&parser->p, settings, data, len);
        if (HTTP_PARSER_ERRNO(&parser->p) == HPE_PAUSED)
                return FED_PAUSED;
        return HTTP_PARSER_ERRNO(&parser->p) == HPE_OK ? FED_ALL : FED_ERROR;
}

static inline int parser_pause(PARSER *p)
{
        http_parser_pause(p, 1);
        return 0;
}

static inline void parser_resume(struct parser *parser)
{
        http_parser_pause(&parser->p, 0);
}
#endif

#endif
