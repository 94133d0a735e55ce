/* Challenges; see challenge.h. */
#include "net/challenge.h"

#include <ctype.h>
#include <string.h>

static bool is_token(char c)
{
        return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token68(char c)
{
        return isalnum((unsigned char)c) || (c != '\0' && strchr("-._~+/", c) != NULL);
}

static const char *skip_blanks(const char *p, const char *end)
{
        while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        return p;
}

static const char *skip_separators(const char *p, const char *end)
{
        while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
                p++;
        return p;
}

static const char *skip_token(const char *p, const char *end)
{
        while (p < end && is_token(*p))
                p++;
        return p;
}

/* A token68 stands alone up to the end or a comma; "name=value" does not. Returns its end or NULL.
 */
static const char *token68_end(const char *p, const char *end)
{
        const char *start = p, *rest;

        while (p < end && is_token68(*p))
                p++;
        if (p == start)
                return NULL;
        while (p < end && *p == '=')
                p++;
        rest = skip_blanks(p, end);
        return rest == end || *rest == ',' ? p : NULL;
}

static const char *read_quoted(const char *p, const char *end, struct text *value)
{
        const char *start = ++p;

        while (p < end && *p != '"')
                p += *p == '\\' && p + 1 < end ? 2 : 1;
        if (p >= end)
                return NULL;
        *value = (struct text){start, (size_t)(p - start)};
        return p + 1;
}

/* One "name = value". Returns its end; NULL if there is none, which begins another challenge. */
static const char *read_param(const char *p, const char *end, struct challenge *out)
{
        const char *name = p, *name_end = skip_token(p, end), *from;
        struct text value;
        bool quoted;

        p = skip_blanks(name_end, end);
        if (name_end == name || p == end || *p != '=')
                return NULL;
        p = skip_blanks(p + 1, end);
        from = p;
        quoted = p < end && *p == '"';
        p = quoted ? read_quoted(p, end, &value) : skip_token(p, end);
        if (p == NULL)
                return NULL;
        if (!quoted)
                value = (struct text){from, (size_t)(p - from)};
        if (out->param_count < CHALLENGE_PARAMS_MAX) {
                out->params[out->param_count].name = (struct text){name, (size_t)(name_end - name)};
                out->params[out->param_count].value = value;
                out->params[out->param_count++].quoted = quoted;
        }
        return p;
}

static const char *read_params(const char *p, const char *end, struct challenge *out)
{
        const char *next;

        while ((next = read_param(p, end, out)) != NULL) {
                p = skip_blanks(next, end);
                if (p == end || *p != ',')
                        break;
                p = skip_separators(p, end);
        }
        return p;
}

bool challenge_next(const char **at, const char *end, struct challenge *out)
{
        const char *scheme = skip_separators(*at, end), *p = skip_token(scheme, end), *token, *stop;

        out->scheme = (struct text){scheme, (size_t)(p - scheme)};
        out->token = (struct text){p, 0};
        out->param_count = 0;
        *at = end;
        if (p == scheme || (p < end && strchr(" \t,", *p) == NULL))
                return false;
        token = skip_blanks(p, end);
        if (token == end || *token == ',') {
                *at = token;
                return true;
        }
        stop = token68_end(token, end);
        if (stop != NULL) {
                out->token = (struct text){token, (size_t)(stop - token)};
                *at = stop;
                return true;
        }
        *at = read_params(token, end, out);
        if (*at == token)
                *at = end; /* neither: nothing behind it can be trusted */
        return true;
}

int challenge_param(const struct challenge *c, const char *name, char *out, size_t cap)
{
        for (size_t i = 0; i < c->param_count; i++) {
                const struct text v = c->params[i].value;
                size_t len = 0;

                if (!text_is_nocase(c->params[i].name, name))
                        continue;
                for (size_t k = 0; k < v.len; k++) {
                        if (c->params[i].quoted && v.at[k] == '\\' && k + 1 < v.len)
                                k++;
                        if (len + 1 >= cap || iscntrl((unsigned char)v.at[k]))
                                return -1;
                        out[len++] = v.at[k];
                }
                out[len] = '\0';
                return (int)len;
        }
        return -1;
}
