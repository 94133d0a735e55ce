/* What a proxy asks for in Proxy-Authenticate (RFC 9110 section 11.6): several challenges in one
 * field or in several, each a scheme with a token or with parameters. Pure. */
#ifndef NET_CHALLENGE_H
#define NET_CHALLENGE_H

#include "net/head.h"

enum { CHALLENGE_PARAMS_MAX = 16 };

struct challenge {
        struct text scheme;
        struct text token; /* token68; len 0: none */
        struct {
                struct text name;
                struct text value; /* without its quotes, escapes still in it */
                bool quoted;
        } params[CHALLENGE_PARAMS_MAX]; /* further ones are left out */
        size_t param_count;
};

/* Read the challenge at *at and move *at behind it. Returns false at end, and for the rest of what
 * makes no sense. */
bool challenge_next(const char **at, const char *end, struct challenge *out);

/* A parameter's value with its escapes resolved, NUL-terminated. Returns its length, or -1 if it is
 * not there, is longer than cap - 1, or holds control characters. */
int challenge_param(const struct challenge *c, const char *name, char *out, size_t cap);

#endif
