/* resume.c: the sessions with origins; see resume.h. The key says everything that the certificate
 * was verified for and all that was offered, so a session is never used for anything else. Used by
 * origin.c and its callbacks. */
#include "inspect/resume.h"
#include "record/hash.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
        KEPT_CAP = 256,
        /* The certificate is looked at anew after this long, whatever the origin allows. */
        KEPT_SECONDS = 600,
};

struct kept {
        UT_hash_handle hh;
        SSL_SESSION *session; /* owned */
        char key[RESUME_KEY_CAP];
};

struct resume {
        struct kept *all; /* owned; longest unused first */
};

struct resume *resume_new(void)
{
        return calloc(1, sizeof(struct resume));
}

static void kept_free(struct kept *k)
{
        SSL_SESSION_free(k->session);
        free(k);
}

static void drop(struct resume *r, struct kept *k)
{
        HASH_DEL(r->all, k);
        kept_free(k);
}

/* Takes k over; false if it is gone. Behind all others: the table is in order of use. */
static bool put(struct resume *r, struct kept *k)
{
        HASH_ADD_STR(r->all, key, k);
        if (k->hh.tbl)
                return true;
        kept_free(k);
        return false;
}

void resume_free(struct resume *r)
{
        while (r && r->all)
                drop(r, r->all);
        free(r);
}

static struct kept *find(struct resume *r, const char *key)
{
        struct kept *k;

        HASH_FIND_STR(r->all, key, k);
        return k;
}

static bool is_fresh(const SSL_SESSION *session)
{
        time_t age = time(NULL) - (time_t)SSL_SESSION_get_time(session);
        X509 *cert = SSL_SESSION_get0_peer((SSL_SESSION *)session);

        return age >= 0 && age < KEPT_SECONDS && age < SSL_SESSION_get_timeout(session) &&
               SSL_SESSION_is_resumable(session) && cert &&
               X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

SSL_SESSION *resume_get(struct resume *r, const char *key)
{
        struct kept *k = find(r, key);

        if (!k)
                return NULL;
        if (!is_fresh(k->session)) {
                drop(r, k);
                return NULL;
        }
        HASH_DEL(r->all, k);
        return put(r, k) ? k->session : NULL;
}

void resume_put(struct resume *r, const char *key, SSL_SESSION *session)
{
        struct kept *k = find(r, key);

        if (!k) {
                k = strlen(key) < sizeof k->key ? calloc(1, sizeof *k) : NULL;
                if (!k)
                        return;
                strcpy(k->key, key);
                if (HASH_COUNT(r->all) >= KEPT_CAP)
                        drop(r, r->all);
                if (!put(r, k))
                        return;
        }
        SSL_SESSION_free(k->session);
        SSL_SESSION_up_ref(session);
        k->session = session;
}

void resume_drop(struct resume *r, const char *key)
{
        struct kept *k = find(r, key);

        if (k)
                drop(r, k);
}
