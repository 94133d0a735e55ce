/* Masking of secrets: see mask.h. Owns the lists of names that give a secret away; the writers of
 * events (cli/, inspect/, net/) call it on every text that a user or a server chose. One walk over
 * the text, no allocation; what is masked does not depend on where the output is cut. */
#include "record/mask.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define MASK "***"

/* Anywhere in a name, in any case. "auth" alone would hide "author". */
static const char *const secret_parts[] = {
        "token",   "secret",  "passw",     "passphrase", "signature",  "credential", "apikey",
        "api_key", "api-key", "accesskey", "access_key", "access-key", "privatekey", "authoriz",
        "_auth",   "-auth",   "oauth",     "session",    "jwt",        "cookie",
};

/* The whole name. Too short to look for inside others. */
static const char *const secret_names[] = {
        "key", "sig", "auth", "pwd", "pw", "pass", "sid", "code", "otp",
};

static const char *const secret_headers[] = {
        "authorization",
        "proxy-authorization",
        "cookie",
        "cookie2",
        "set-cookie",
        "set-cookie2",
        "x-jfrog-art-api",
        "npm-otp",
        "x-nuget-apikey",
        "authentication-info",
        "proxy-authentication-info",
};

/* Fields whose value is a URL even without a scheme. */
static const char *const url_headers[] = {"location", "content-location", "referer", "link"};

/* What may be kept of an Authorization field. A first word that is none of these may be the secret.
 */
static const char *const auth_schemes[] = {
        "basic", "bearer", "digest", "negotiate", "ntlm", "token", "aws4-hmac-sha256", "kerberos",
};

/* Tokens that say themselves what they are, wherever they stand. */
static const char *const token_prefixes[] = {
        "ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "npm_", "pypi-AgE", "xoxb-", "eyJ",
};

/* Options whose next argument holds "user:password"; without a colon it is something else
 * ("python -u script", "pip install --user name"). */
static const char *const login_options[] = {"-u", "-U", "--user", "--proxy-user"};

/* Options whose value is a URL, perhaps without a scheme. */
static const char *const url_options[] = {"proxy", "url", "index", "registry", "upstream"};

enum {
        TOKEN_MIN_LEN = 20,  /* shorter ones are words that only begin like a token */
        USERINFO_CAP = 4096, /* bounds the walk: a server may send "://" a thousand times */
};

struct sink {
        char *out;
        size_t cap, len;
};

static void put(struct sink *to, const char *text, size_t len)
{
        size_t left = to->cap > to->len ? to->cap - to->len - 1 : 0;

        len = len < left ? len : left;
        if (len > 0)
                memcpy(to->out + to->len, text, len);
        to->len += len;
}

static size_t finish(struct sink *to)
{
        if (to->cap > 0)
                to->out[to->len] = '\0';
        return to->len;
}

static bool same(const char *text, size_t len, const char *word)
{
        return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

static bool contains(const char *text, size_t len, const char *word)
{
        size_t word_len = strlen(word);
        unsigned char low = (unsigned char)word[0], high = (unsigned char)toupper(low);

        for (size_t i = 0; i + word_len <= len; i++) {
                unsigned char c = (unsigned char)text[i];

                if ((c == low || c == high) && strncasecmp(text + i, word, word_len) == 0)
                        return true;
        }
        return false;
}

#define ANY(test, text, len, list) any(test, text, len, list, sizeof(list) / sizeof((list)[0]))

static bool any(bool (*test)(const char *, size_t, const char *), const char *text, size_t len,
                const char *const *list, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (test(text, len, list[i]))
                        return true;
        return false;
}

static bool starts_token(const char *text, size_t len, const char *prefix)
{
        size_t prefix_len = strlen(prefix);

        return len >= TOKEN_MIN_LEN && strncmp(text, prefix, prefix_len) == 0;
}

bool mask_name_is_secret(const char *name, size_t name_len)
{
        while (name_len > 0 && strchr("-_./: ", name[0]) != NULL) {
                name++;
                name_len--;
        }
        return ANY(same, name, name_len, secret_names) ||
               ANY(contains, name, name_len, secret_parts);
}

bool mask_header_is_secret(const char *name, size_t name_len)
{
        static const char *const parts[] = {"token", "secret", "api-key", "apikey", "passw"};

        return ANY(same, name, name_len, secret_headers) || ANY(contains, name, name_len, parts);
}

static bool ends_url(char c)
{
        return isspace((unsigned char)c) || c == '"' || c == '\'' || c == '<' || c == '>' ||
               c == '\0';
}

static size_t span_until(const char *in, size_t len, const char *stops)
{
        size_t i = 0;

        while (i < len && !ends_url(in[i]) && strchr(stops, in[i]) == NULL)
                i++;
        return i;
}

static const char *last_at(const char *in, size_t len)
{
        return memrchr(in, '@', len);
}

/* Length of the userinfo in front of an authority, '@' excluded; 0 if there is none. A password
 * with a bare '/' in it is found too: then what looks like a port is not a number. */
static size_t userinfo_len(const char *in, size_t len)
{
        size_t authority, host;
        const char *at;

        len = len < USERINFO_CAP ? len : USERINFO_CAP;
        authority = span_until(in, len, "/?#");
        at = last_at(in, authority);
        if (at != NULL)
                return (size_t)(at - in);
        host = span_until(in, authority, ":");
        if (host >= authority || in[0] == '[')
                return 0;
        for (size_t i = host + 1; i < authority; i++) {
                if (isdigit((unsigned char)in[i]))
                        continue;
                at = last_at(in, span_until(in, len, ""));
                return at != NULL ? (size_t)(at - in) : 0;
        }
        return 0;
}

static size_t put_authority(struct sink *to, const char *in, size_t len)
{
        size_t secret = userinfo_len(in, len);

        if (secret > 0)
                put(to, MASK, 3);
        return secret;
}

/* At a query parameter: copy "name=" and a masked value if it is a secret. Returns what was eaten
 * of in. */
static size_t put_parameter(struct sink *to, const char *in, size_t len)
{
        size_t name = span_until(in, len, "=&;#?/"), value;

        if (name >= len || in[name] != '=')
                return 0;
        value = span_until(in + name + 1, len - name - 1, "&;#");
        if (value == 0 || (!mask_name_is_secret(in, name) &&
                           !ANY(starts_token, in + name + 1, value, token_prefixes)))
                return 0;
        put(to, in, name + 1);
        put(to, MASK, 3);
        return name + 1 + value;
}

static void put_urls(struct sink *to, const char *in, size_t len)
{
        for (size_t i = 0; i < len;) {
                size_t at = i;

                if (len - i >= 3 && memcmp(in + i, "://", 3) == 0) {
                        put(to, "://", 3);
                        i += 3;
                        i += put_authority(to, in + i, len - i);
                        continue;
                }
                put(to, in + i++, 1);
                if (strchr("?&;#", in[at]) != NULL && in[at] != '\0')
                        i += put_parameter(to, in + i, len - i);
        }
}

static bool has_scheme(const char *in, size_t len)
{
        size_t i = span_until(in, len, ":/?#@");

        return len - i >= 3 && memcmp(in + i, "://", 3) == 0;
}

static void put_url(struct sink *to, const char *in, size_t len)
{
        size_t skip =
                len > 0 && in[0] != '/' && !has_scheme(in, len) ? put_authority(to, in, len) : 0;

        put_urls(to, in + skip, len - skip);
}

size_t mask_url(const char *in, size_t in_len, char *out, size_t out_cap)
{
        struct sink to = {.out = out, .cap = out_cap};

        put_url(&to, in, in_len);
        return finish(&to);
}

/* The scheme of an Authorization value may stay, the rest may not. */
static void put_secret_header(struct sink *to, const char *value, size_t len)
{
        size_t scheme = 0;

        while (scheme < len && !isspace((unsigned char)value[scheme]))
                scheme++;
        if (scheme < len && ANY(same, value, scheme, auth_schemes))
                put(to, value, scheme + 1);
        put(to, MASK, 3);
}

size_t mask_header(const char *name, size_t name_len, const char *value, size_t value_len,
                   char *out, size_t out_cap)
{
        struct sink to = {.out = out, .cap = out_cap};

        if (mask_header_is_secret(name, name_len))
                put_secret_header(&to, value, value_len);
        else if (ANY(same, name, name_len, url_headers))
                put_url(&to, value, value_len);
        else if (contains(value, value_len, "://"))
                put_urls(&to, value, value_len);
        else
                put(&to, value, value_len);
        return finish(&to);
}

/* "user:pw@proxy.example:3128": told from "alias@npm:name@1.0" by the port at its end. */
static bool is_bare_proxy(const char *in, size_t len)
{
        const char *at = last_at(in, len);
        size_t digits = 0;

        if (at == NULL || memchr(in, ':', (size_t)(at - in)) == NULL ||
            memchr(in, '/', len) != NULL)
                return false;
        while (digits < len && isdigit((unsigned char)in[len - 1 - digits]))
                digits++;
        return digits > 0 && digits < len && in[len - 1 - digits] == ':';
}

/* "name=value", where the name decides. Returns false if this is none. */
static bool put_assignment(struct sink *to, const char *word, size_t len)
{
        const char *equals = memchr(word, '=', len);
        size_t name = equals != NULL ? (size_t)(equals - word) : len;

        /* "//registry.example/:_authToken=x" is a name with slashes; a URL with a query is not. */
        if (equals == NULL || memchr(word, '?', name) != NULL)
                return false;
        put(to, word, name + 1);
        if (name + 1 < len && mask_name_is_secret(word, name))
                put(to, MASK, 3);
        else if (ANY(contains, word, name, url_options) ||
                 is_bare_proxy(equals + 1, len - name - 1))
                put_url(to, equals + 1, len - name - 1);
        else
                put_urls(to, equals + 1, len - name - 1);
        return true;
}

/* Is word, which follows previous, a secret because of it? */
static bool follows_secret_option(const char *previous, size_t previous_len, const char *word,
                                  size_t len)
{
        if (previous_len < 2 || previous[0] != '-' || memchr(previous, '=', previous_len) != NULL)
                return false;
        if (ANY(same, previous, previous_len, login_options))
                return memchr(word, ':', len) != NULL;
        return mask_name_is_secret(previous, previous_len) && strncmp(word, "--", 2) != 0;
}

/* Length of "Authorization:" in front of a word, with -H or --header= before it or not; else 0. */
static size_t secret_header_len(const char *word, size_t len)
{
        const char *colon = memchr(word, ':', len), *name = word;
        const char *equals = memchr(word, '=', len);

        if (colon == NULL)
                return 0;
        if (equals != NULL && equals < colon)
                name = equals + 1;
        else if (len > 2 && memcmp(word, "-H", 2) == 0)
                name = word + 2;
        return mask_header_is_secret(name, (size_t)(colon - name)) ? (size_t)(colon + 1 - word) : 0;
}

/* "-uname:password" as curl takes it. */
static bool is_glued_login(const char *word, size_t len)
{
        return len > 2 && word[0] == '-' && tolower((unsigned char)word[1]) == 'u' &&
               memchr(word, ':', len) != NULL;
}

static void put_word(struct sink *to, const char *word, size_t len)
{
        if (is_glued_login(word, len)) {
                put(to, word, 2);
                put(to, MASK, 3);
        } else if (ANY(starts_token, word, len, token_prefixes))
                put(to, MASK, 3);
        else if (is_bare_proxy(word, len))
                put_url(to, word, len);
        else if (!put_assignment(to, word, len))
                put_urls(to, word, len);
}

/* Where the walk over the words of an argument is. */
struct words {
        const char *previous;
        size_t previous_len;
        bool header; /* in the value of a secret header field, up to its closing quote */
};

static void put_next_word(struct sink *to, struct words *at, const char *word, size_t len)
{
        size_t header = at->header ? 0 : secret_header_len(word, len);

        if (at->header || follows_secret_option(at->previous, at->previous_len, word, len)) {
                put(to, MASK, 3);
        } else if (header > 0) {
                put(to, word, header);
                put(to, MASK, header < len ? 3 : 0);
                at->header = true;
        } else {
                put_word(to, word, len);
        }
        at->previous = word;
        at->previous_len = len;
}

size_t mask_argument_after(const char *previous, const char *in, char *out, size_t out_cap)
{
        struct sink to = {.out = out, .cap = out_cap};
        struct words at = {.previous = previous, .previous_len = previous ? strlen(previous) : 0};

        while (*in != '\0') {
                size_t len = strcspn(in, " \t\n\r\"'");

                if (len == 0) {
                        at.header = at.header && *in != '"' && *in != '\'';
                        put(&to, in++, 1);
                        continue;
                }
                put_next_word(&to, &at, in, len);
                in += len;
        }
        return finish(&to);
}

size_t mask_argument(const char *in, char *out, size_t out_cap)
{
        return mask_argument_after(NULL, in, out, out_cap);
}
