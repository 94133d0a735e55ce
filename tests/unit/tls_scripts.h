/* What the clients and origins of tls_lab.h say to each other, and how the tests see that it
 * arrived. Used by the test_intercept*.c files. */
#ifndef TLS_SCRIPTS_H
#define TLS_SCRIPTS_H

#include "tls_lab.h"

enum { BULK_UP = 3 << 20, BULK_DOWN = 5 << 20 };

static const char request[] = "GET /simple/?token=abc HTTP/1.1\r\nHost: index.example\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

static inline unsigned char pattern(size_t i)
{
        return (unsigned char)(i * 31 ^ i >> 8);
}

static inline bool send_pattern(SSL *ssl, size_t len)
{
        unsigned char data[20000];
        int n;

        for (size_t at = 0; at < len; at += (size_t)n) {
                size_t part = len - at < sizeof data ? len - at : sizeof data;
                for (size_t i = 0; i < part; i++)
                        data[i] = pattern(at + i);
                if ((n = SSL_write(ssl, data, (int)part)) <= 0)
                        return false;
        }
        return true;
}

/* Returns how many bytes came as they should before the end or the first wrong one. */
static inline size_t receive_pattern(SSL *ssl, size_t len)
{
        unsigned char data[7001];
        size_t at = 0;
        int n;

        while (at < len && (n = SSL_read(ssl, data, sizeof data)) > 0)
                for (int i = 0; i < n; i++, at++)
                        if (data[i] != pattern(at))
                                return at;
        return at;
}

static inline bool receive_text(SSL *ssl, const char *text)
{
        char data[512];
        size_t len = 0;
        int n;

        while (len < strlen(text) && (n = SSL_read(ssl, data + len, (int)(sizeof data - len))) > 0)
                len += (size_t)n;
        return len == strlen(text) && !memcmp(data, text, len);
}

static inline bool send_text(SSL *ssl, const char *text)
{
        return SSL_write(ssl, text, (int)strlen(text)) == (int)strlen(text);
}

static inline bool ended_cleanly(SSL *ssl)
{
        char byte;
        int n = SSL_read(ssl, &byte, 1);

        return SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN;
}

/* Set by the threads, read after they are joined. */
static volatile size_t got_up, got_down;
static volatile bool clean;

static inline void client_get(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        got_down = send_text(ssl, request) && receive_text(ssl, response);
        SSL_shutdown(ssl);
}

static inline void origin_get(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        got_up = receive_text(ssl, request) && send_text(ssl, response);
        clean = ended_cleanly(ssl);
        SSL_shutdown(ssl);
}

static inline void client_bulk(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        send_pattern(ssl, BULK_UP);
        usleep(50000); /* back-pressure */
        got_down = receive_pattern(ssl, BULK_DOWN);
        SSL_shutdown(ssl);
}

static inline void origin_bulk(struct lab *lab, SSL *ssl, int fd)
{
        (void)lab;
        (void)fd;
        usleep(50000);
        got_up = receive_pattern(ssl, BULK_UP);
        send_pattern(ssl, BULK_DOWN);
        clean = ended_cleanly(ssl);
}

#endif
