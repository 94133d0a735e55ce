/* Credentials for an HTTP proxy; see auth.h. */
#include "net/auth.h"
#include "net/digest.h"
#include "net/negotiate.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum scheme { NOTHING, BASIC, DIGEST, NEGOTIATE };

enum { LEGS_MAX = 6 }; /* of Negotiate: Kerberos takes one or two, NTLM inside it three */

struct auth_memory {
        pthread_mutex_t lock;
        enum scheme scheme; /* that was accepted */
        struct digest digest;
        unsigned count; /* uses of its nonce */
};

struct auth {
        const struct hop *hop; /* borrowed */
        char *method, *uri;    /* owned */
        char *user, *password; /* owned; password is "" where there is none; user NULL: none */
        char *value;           /* owned */
        enum scheme scheme;    /* of value */
        unsigned offered;      /* bits of schemes that the last challenge named and we can do */
        unsigned tried;        /* bits of schemes that were refused after being asked for */
        bool remembered;       /* value was made before being asked */
        bool stale_used;
        struct digest digest;
        struct negotiate *negotiate; /* owned */
        char *theirs, *thought;      /* owned: the proxy's token, ours */
        unsigned legs;
};

struct auth_memory *auth_memory_new(void)
{
        struct auth_memory *m = calloc(1, sizeof *m);

        if (m != NULL)
                pthread_mutex_init(&m->lock, NULL);
        return m;
}

void auth_memory_free(struct auth_memory *m)
{
        if (m != NULL)
                pthread_mutex_destroy(&m->lock);
        free(m);
}

void auth_free(struct auth *a)
{
        if (a == NULL)
                return;
        wipe_free(a->user);
        wipe_free(a->password);
        wipe_free(a->value);
        wipe_free(a->thought);
        wipe_free(a->theirs);
        negotiate_free(a->negotiate);
        free(a->method);
        free(a->uri);
        free(a);
}

static void set_value(struct auth *a, enum scheme scheme, char *value)
{
        wipe_free(a->value);
        a->value = value;
        a->scheme = value != NULL ? scheme : NOTHING;
}

/* Use the nonce once more, or for the first time if a challenge has brought it. */
static char *digest_value(struct auth *a, bool fresh)
{
        struct auth_memory *m = a->hop->memory;
        unsigned char random[16];
        char cnonce[2 * sizeof random + 1];
        struct digest_login login = {.user = a->user,
                                     .password = a->password,
                                     .method = a->method,
                                     .uri = a->uri,
                                     .cnonce = cnonce};

        if (RAND_bytes(random, sizeof random) != 1)
                return NULL;
        for (size_t i = 0; i < sizeof random; i++)
                snprintf(cnonce + 2 * i, 3, "%02x", random[i]);
        pthread_mutex_lock(&m->lock);
        if (fresh && strcmp(m->digest.nonce, a->digest.nonce) != 0) {
                m->digest = a->digest;
                m->count = 0;
        }
        login.count = ++m->count;
        pthread_mutex_unlock(&m->lock);
        return digest_answer(&a->digest, &login);
}

/* What was accepted last time is said at once. */
static void recall(struct auth *a)
{
        struct auth_memory *m = a->hop->memory;
        enum scheme scheme;

        pthread_mutex_lock(&m->lock);
        scheme = m->scheme;
        a->digest = m->digest;
        pthread_mutex_unlock(&m->lock);
        if (a->user == NULL)
                return;
        /* Nobody else can read what goes to it: no need to wait until it asks. */
        if (scheme == NOTHING && a->hop->scheme == HOP_HTTPS)
                scheme = BASIC;
        if (scheme == BASIC)
                set_value(a, BASIC, upstream_basic(a->hop->credentials));
        else if (scheme == DIGEST)
                set_value(a, DIGEST, digest_value(a, false));
        a->remembered = a->value != NULL;
}

struct auth *auth_new(const struct hop *hop, const char *method, const char *uri)
{
        struct auth *a = calloc(1, sizeof *a);
        const char *colon = hop->credentials != NULL ? strchr(hop->credentials, ':') : NULL;
        bool ok;

        if (a == NULL)
                return NULL;
        a->hop = hop;
        a->method = strdup(method);
        a->uri = strdup(uri);
        if (hop->credentials != NULL) {
                a->user = colon != NULL
                                  ? strndup(hop->credentials, (size_t)(colon - hop->credentials))
                                  : strdup(hop->credentials);
                a->password = strdup(colon != NULL ? colon + 1 : "");
        }
        ok = a->method != NULL && a->uri != NULL && hop->memory != NULL &&
             (hop->credentials == NULL || (a->user != NULL && a->password != NULL));
        if (!ok) {
                auth_free(a);
                return NULL;
        }
        recall(a);
        return a;
}

const char *auth_value(const struct auth *a)
{
        return a->value;
}

static unsigned bit(enum scheme scheme)
{
        return 1u << scheme;
}

static void offer(struct auth *a, const struct challenge *c)
{
        struct digest digest;

        if (text_is_nocase(c->scheme, "Basic") && a->user != NULL)
                a->offered |= bit(BASIC);
        /* RFC 7616 section 3.7: of several the first one that we can do */
        if (text_is_nocase(c->scheme, "Digest") && a->user != NULL &&
            (a->offered & bit(DIGEST)) == 0 && digest_read(c, &digest)) {
                a->digest = digest;
                a->offered |= bit(DIGEST);
        }
        if (text_is_nocase(c->scheme, "Negotiate") && negotiate_is_there()) {
                free(a->theirs);
                a->theirs = strndup(c->token.at, c->token.len);
                a->offered |= a->theirs != NULL ? bit(NEGOTIATE) : 0;
        }
}

static void read_challenges(struct auth *a, const struct head *head)
{
        struct challenge c;

        a->offered = 0;
        free(a->theirs);
        a->theirs = NULL;
        for (size_t i = 0; i < head->field_count; i++) {
                const struct text value = head->fields[i].value;
                const char *at = value.at;

                if (!text_is_nocase(head->fields[i].name, "Proxy-Authenticate"))
                        continue;
                while (challenge_next(&at, value.at + value.len, &c))
                        offer(a, &c);
        }
}

static enum auth_next choose(struct auth *a)
{
        unsigned left = a->offered & ~a->tried;

        set_value(a, NOTHING, NULL);
        if ((left & bit(NEGOTIATE)) != 0) {
                a->tried |= bit(NEGOTIATE);
                a->negotiate = negotiate_new(a->hop->host);
                a->scheme = NEGOTIATE;
                return AUTH_THINK;
        }
        if ((left & bit(DIGEST)) != 0) {
                a->tried |= bit(DIGEST);
                set_value(a, DIGEST, digest_value(a, true));
        }
        if (a->value == NULL && (left & bit(BASIC)) != 0) {
                a->tried |= bit(BASIC);
                set_value(a, BASIC, upstream_basic(a->hop->credentials));
        }
        return a->value != NULL ? AUTH_RETRY : AUTH_STOP;
}

enum auth_next auth_challenged(struct auth *a, const struct head *head)
{
        bool was_remembered = a->remembered;
        enum scheme before = a->scheme;

        a->remembered = false;
        read_challenges(a, head);
        /* The conversation goes on: the proxy has answered with a token of its own. */
        if (before == NEGOTIATE && a->theirs != NULL && *a->theirs != '\0' && a->legs < LEGS_MAX)
                return AUTH_THINK;
        /* Not the password was wrong, only the nonce old. */
        if (before == DIGEST && !was_remembered && a->digest.stale && !a->stale_used) {
                a->stale_used = true;
                a->tried &= ~bit(DIGEST);
        }
        /* Basic is the same said twice, whoever asked first. */
        if (was_remembered && before == BASIC)
                a->tried |= bit(BASIC);
        return choose(a);
}

enum auth_next auth_snubbed(struct auth *a)
{
        if (a->user == NULL || a->value != NULL || a->tried != 0)
                return AUTH_STOP;
        a->tried |= bit(BASIC);
        set_value(a, BASIC, upstream_basic(a->hop->credentials));
        return a->value != NULL ? AUTH_RETRY : AUTH_STOP;
}

void auth_think(struct auth *a)
{
        a->legs++;
        a->thought = a->negotiate != NULL ? negotiate_answer(a->negotiate, a->theirs) : NULL;
}

enum auth_next auth_thought(struct auth *a)
{
        char *thought = a->thought;

        a->thought = NULL;
        if (thought == NULL)
                return choose(a);
        set_value(a, NEGOTIATE, thought);
        return AUTH_RETRY;
}

void auth_accepted(struct auth *a)
{
        struct auth_memory *m = a->hop->memory;

        if (a->value == NULL || a->scheme == NEGOTIATE)
                return;
        pthread_mutex_lock(&m->lock);
        m->scheme = a->scheme;
        pthread_mutex_unlock(&m->lock);
}

bool auth_needs_same_connection(const struct auth *a)
{
        return a->scheme == NEGOTIATE && a->legs > 1;
}

/* ---- requests that are forwarded ---- */

char *auth_of_request(const struct hop *hop, const char *method, const char *uri, bool may_repeat)
{
        struct auth *a = auth_new(hop, method, uri);
        char *value = NULL;

        if (a != NULL && a->value != NULL) {
                value = a->value;
                a->value = NULL;
        } else if (a != NULL && a->user != NULL && !may_repeat) {
                value = upstream_basic(hop->credentials);
        }
        auth_free(a);
        return value;
}

char *auth_token(struct auth *a)
{
        char *thought = a->thought;

        a->thought = NULL;
        return thought;
}

enum auth_next auth_learn(const struct hop *hop, const struct head *head, unsigned *tried,
                          struct auth **talk)
{
        struct auth *a = auth_new(hop, "", "");
        unsigned stale = 1u << 31, left;
        enum scheme scheme;

        if (a == NULL)
                return AUTH_STOP;
        read_challenges(a, head);
        a->tried = *tried | ~bit(NEGOTIATE);
        if (choose(a) == AUTH_THINK) {
                *tried |= bit(NEGOTIATE);
                *talk = a;
                return AUTH_THINK;
        }
        if ((a->offered & bit(DIGEST)) != 0 && a->digest.stale && (*tried & stale) == 0)
                *tried = (*tried | stale) & ~bit(DIGEST);
        left = a->offered & ~*tried;
        scheme = (left & bit(DIGEST)) != 0 ? DIGEST : (left & bit(BASIC)) != 0 ? BASIC : NOTHING;
        if (scheme != NOTHING) {
                pthread_mutex_lock(&hop->memory->lock);
                hop->memory->scheme = scheme;
                hop->memory->digest = a->digest;
                hop->memory->count = 0;
                pthread_mutex_unlock(&hop->memory->lock);
                *tried |= bit(scheme);
        }
        auth_free(a);
        return scheme != NOTHING ? AUTH_RETRY : AUTH_STOP;
}
