/* The URL of one upstream proxy. Pure. */
#ifndef NET_UPSTREAM_URL_H
#define NET_UPSTREAM_URL_H

#include "net/upstream.h"

/* Parse len bytes of text into hop, which is all zero. Returns 0, -ENOMEM, or -EINVAL with a reason
 * in *why (static). What is filled in is freed by the hop's owner in every case. */
int upstream_url_parse(struct hop *hop, const char *text, size_t len, const char **why);

/* Parse "host", "host:port", "[v6]", "[v6]:port". *host is owned by the caller; *port stays when
 * none is given. Returns 0, -EINVAL or -ENOMEM. */
int split_host_port(const char *text, size_t len, char **host, uint16_t *port);

/* Overwrite the passwords of all URLs in text with "***", in place (the text gets shorter). For a
 * command line that other users can see. Returns true if there was one. */
bool upstream_url_hide(char *text);

#endif
