/* trust.c: decides from the user's environment which roots each kind of client has, and points
 * clients at bundles that hold the same roots and our CA. Owns the table of variables. Reading
 * and writing of bundles is bundle.c; the reasons for each line are in docs/inspection.md. */
#include "inspect/trust.h"
#include "inspect/anchors.h"
#include "inspect/java.h"
#include "inspect/jks.h"
#include "inspect/trust_table.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>

static const struct variable variables[] = {
        {"SSL_CERT_FILE", ALWAYS, {"SSL_CERT_DIR"}},
        {"NIX_SSL_CERT_FILE", ALWAYS, {"SSL_CERT_FILE"}},
        {"NODE_EXTRA_CA_CERTS", ADDS, {0}},
        {"DENO_CERT", ADDS, {0}},
        /* These outrank what the program or the user's configuration file chooses (a session's
         * verify, pip.conf, git's, cargo's, .yarnrc.yml): set by us they would take away roots that
         * the client has. */
        {"REQUESTS_CA_BUNDLE", IF_SET, {0}},
        {"CURL_CA_BUNDLE", IF_SET, {0}},
        {"PIP_CERT", IF_SET, {0}},
        {"GIT_SSL_CAINFO", IF_SET, {0}},
        {"CARGO_HTTP_CAINFO", IF_SET, {0}},
        {"YARN_HTTPS_CA_FILE_PATH", IF_SET, {0}},
        {"COMPOSER_CAFILE", IF_SET, {0}},
        {"BUNDLE_SSL_CA_CERT", IF_SET, {0}},
        {"AWS_CA_BUNDLE", IF_SET, {0}},
        {"PDM_PYPI_CA_CERTS", IF_SET, {0}},
        {"HEX_CACERTS_PATH", IF_SET, {0}},
        {"npm_config_cafile", IF_SET, {0}},
        {"NPM_CONFIG_CAFILE", IF_SET, {0}},
        {"YARN_CAFILE", IF_SET, {0}},
        {"POETRY_CERTIFICATES_*_CERT", IF_SET, {0}},
        {"CONDA_SSL_VERIFY", IF_SET, {0}},
        {"HTTPLIB2_CA_CERTS", IF_SET, {0}},
        {"PERL_LWP_SSL_CA_FILE", IF_SET, {0}},
        {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", IF_SET, {0}},
        {"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", IF_SET, {0}},
        {"WGETRC", WGET_FILE, {0}},
        {"APT_CONFIG", APT_FILE, {0}},
        {"MAVEN_OPTS", JAVA, {0}},
        {"GRADLE_OPTS", JAVA, {0}},
        {"SBT_OPTS", JAVA, {0}},
        {"ANT_OPTS", JAVA, {0}},
        {"LEIN_JVM_OPTS", JAVA, {0}},
        {"JAVA_TOOL_OPTIONS", JAVA_MORE, {0}},
        {"JDK_JAVA_OPTIONS", JAVA_MORE, {0}},
};

enum {
        VARIABLE_COUNT = sizeof variables / sizeof *variables,
};

static const char *env_get(char *const env[], const char *name)
{
        size_t len = strlen(name);

        for (; env && *env; env++)
                if (!strncmp(*env, name, len) && (*env)[len] == '=')
                        return (*env)[len + 1] ? *env + len + 1 : NULL;
        return NULL;
}

static void note_problem(struct trust *t, const char *name, int error)
{
        if (!*t->problem)
                snprintf(t->problem, sizeof t->problem,
                         "%.80s names a file of certificates that cannot be used: %s", name,
                         error == -ENODATA ? "it holds none" : strerror(-error));
}

static bool same_path(const char *a, const char *b)
{
        return a && b ? !strcmp(a, b) : a == b;
}

static void source_free(struct source *s)
{
        bundle_fini(&s->bundle);
        free(s->path);
        free(s);
}

static int source_read(struct source *s, const char *path, bool java)
{
        if (!path)
                return 0;
        s->path = strdup(path);
        if (!s->path)
                return -ENOMEM;
        if (java) {
                int count = jks_add(&s->bundle, path);
                return count < 0 ? count : 0;
        }
        if (*path)
                return bundle_add(&s->bundle, path);
        /* A machine without roots is possible; its clients then trust ours alone. */
        return bundle_add_system(&s->bundle) == -ENOMEM ? -ENOMEM : 0;
}

/* The roots at path, read once. Returns NULL with *error when they cannot be had. */
static struct source *source_get(struct trust *t, const char *path, bool java, int *error)
{
        for (struct source *s = t->sources; s; s = s->next)
                if (same_path(s->path, path) && s->java == java)
                        return s;
        struct source *s = calloc(1, sizeof *s);
        *error = s ? source_read(s, path, java) : -ENOMEM;
        if (s && *error) {
                source_free(s);
                return NULL;
        }
        if (s) {
                s->java = java;
                s->next = t->sources;
                t->sources = s;
        }
        return s;
}

static bool is_java(const struct variable *v)
{
        return v->rule == JAVA || v->rule == JAVA_MORE;
}

static int choose(struct trust *t, const struct variable *v, const char *name, const char *path,
                  const char *users)
{
        struct choice *c = &t->choices[t->choice_count];
        int error = 0;

        if (t->choice_count == CHOICES_CAP)
                return 0;
        c->source = source_get(t, path, is_java(v), &error);
        if (!c->source)
                return error;
        c->variable = v;
        c->name = strdup(name);
        c->users = users ? strdup(users) : NULL;
        t->choice_count++;
        return c->name && (c->users || !users) ? 0 : -ENOMEM;
}

/* As choose, but a bad file of the user's is noted and the variable stays as it is. */
static int choose_users(struct trust *t, const struct variable *v, const char *name,
                        const char *path)
{
        int error = choose(t, v, name, path, NULL);

        if (error && error != -ENOMEM) {
                note_problem(t, name, error);
                error = 0;
        }
        return error;
}

/* On a machine without roots of its own a client that works has them inside: a bundle with nothing
 * but ours would take them away. */
static int choose_system(struct trust *t, const struct variable *v)
{
        int error = 0;
        const struct source *s = source_get(t, "", false, &error);

        if (!s)
                return error;
        return s->bundle.len ? choose(t, v, v->name, "", NULL) : 0;
}

/* The first of the fallbacks that is set, else the system's roots. */
static int choose_fallback(struct trust *t, const struct variable *v, char *const env[])
{
        for (size_t i = 0; i < 3 && v->fallbacks[i]; i++) {
                const char *path = env_get(env, v->fallbacks[i]);
                /* The fallback's own line has noted the problem; without it the client is as it
                 * would have been. */
                if (path) {
                        int error = choose(t, v, v->name, path, NULL);
                        return error == -ENOMEM ? error : 0;
                }
        }
        return choose_system(t, v);
}

/* Some of these may also be "true" or "false". */
static bool is_path(const char *value)
{
        return value && (strchr(value, '/') || access(value, F_OK) == 0);
}

/* Variables with the user's own word in the middle: every one that is set. */
static int choose_pattern(struct trust *t, const struct variable *v, char *const env[])
{
        const char *star = strchr(v->name, '*'), *tail = star + 1;
        size_t head_len = (size_t)(star - v->name), tail_len = strlen(tail);
        int error = 0;

        for (; env && *env && !error; env++) {
                const char *equals = strchr(*env, '=');
                size_t len = equals ? (size_t)(equals - *env) : 0;
                char name[128];
                if (len <= head_len + tail_len || len >= sizeof name ||
                    strncmp(*env, v->name, head_len) != 0 ||
                    strncmp(equals - tail_len, tail, tail_len) != 0)
                        continue;
                snprintf(name, sizeof name, "%.*s", (int)len, *env);
                if (is_path(equals + 1))
                        error = choose_users(t, v, name, equals + 1);
        }
        return error;
}

/* The file that wget would have read, and the roots it adds there. */
static int choose_wget(struct trust *t, const struct variable *v, char *const env[])
{
        const char *home = env_get(env, "HOME"), *own = env_get(env, v->name);
        char path[PATH_MAX], value[PATH_MAX] = "", line[PATH_MAX + 64];
        int error = 0;

        if (!own && home && (size_t)snprintf(path, sizeof path, "%s/.wgetrc", home) < sizeof path)
                own = access(path, R_OK) == 0 ? path : NULL;
        FILE *file = own ? fopen(own, "re") : NULL;
        while (file && fgets(line, sizeof line, file))
                sscanf(line, " ca_certificate = %4095s", value);
        if (file)
                fclose(file);
        if (own && !file)
                return 0; /* wget will say so itself */
        if (choose(t, v, v->name, *value ? value : NULL, own) < 0)
                error = choose(t, v, v->name, NULL, own);
        return error;
}

/* Java's own store and ours. A store that the user's options choose, or the project's, stays. */
static int choose_java(struct trust *t, const struct variable *v, char *const env[])
{
        const char *own = env_get(env, v->name);
        char store[PATH_MAX], here[PATH_MAX];

        if ((v->rule == JAVA_MORE && !own) || java_has_store(own) ||
            !java_find_store(env, store, sizeof store) ||
            (getcwd(here, sizeof here) && java_project_has_store(here)))
                return 0;
        int error = choose(t, v, v->name, store, own);
        return error == -ENOMEM ? error : 0;
}

static int choose_variable(struct trust *t, const struct variable *v, char *const env[])
{
        const char *value = env_get(env, v->name);

        if (strchr(v->name, '*'))
                return choose_pattern(t, v, env);
        switch (v->rule) {
        case ALWAYS:
                return value ? choose_users(t, v, v->name, value) : choose_fallback(t, v, env);
        case ADDS:
                return value ? choose_users(t, v, v->name, value)
                             : choose(t, v, v->name, NULL, NULL);
        case IF_SET:
                return is_path(value) ? choose_users(t, v, v->name, value) : 0;
        case WGET_FILE:
                return choose_wget(t, v, env);
        case APT_FILE:
                return choose(t, v, v->name, "", value);
        case JAVA:
        case JAVA_MORE:
                return choose_java(t, v, env);
        }
        return 0;
}

static bool is_repeated(const struct trust *t, const struct source *s)
{
        for (const struct source *o = t->sources; o != s; o = o->next)
                if (o->bundle.len == s->bundle.len &&
                    (!o->bundle.len || !memcmp(o->bundle.pem, s->bundle.pem, o->bundle.len)))
                        return true;
        return false;
}

int trust_load(struct trust **out, char *const env[], const char **problem)
{
        struct trust *t = calloc(1, sizeof *t);
        int error = t ? 0 : -ENOMEM;

        /* What stands for the roots that clients have inside (Node, rustls with Mozilla's list). */
        if (!error)
                source_get(t, "", false, &error);
        for (size_t i = 0; i < VARIABLE_COUNT && !error; i++)
                error = choose_variable(t, &variables[i], env);
        const char *hashed_dir = env_get(env, "SSL_CERT_DIR");
        if (!error && hashed_dir && !(t->hashed_dir = strdup(hashed_dir)))
                error = -ENOMEM;
        if (error) {
                trust_free(t);
                return error;
        }
        *problem = *t->problem ? t->problem : NULL;
        *out = t;
        return 0;
}

void trust_free(struct trust *t)
{
        if (!t)
                return;
        for (size_t i = 0; i < t->choice_count; i++) {
                free(t->choices[i].name);
                free(t->choices[i].users);
        }
        while (t->sources) {
                struct source *next = t->sources->next;
                source_free(t->sources);
                t->sources = next;
        }
        X509_STORE_free(t->store);
        free(t->hashed_dir);
        free(t);
}

/* The union of everything that some client was given: an origin that none of them would accept
 * must not be inspected. */
static X509_STORE *store_new(const struct trust *t)
{
        X509_STORE *store = X509_STORE_new();

        if (!store)
                return NULL;
        for (const struct source *s = t->sources; s; s = s->next)
                if (!is_repeated(t, s))
                        anchors_add(store, &s->bundle);
        X509_LOOKUP *lookup =
                t->hashed_dir ? X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir()) : NULL;
        if (lookup)
                X509_LOOKUP_add_dir(lookup, t->hashed_dir, X509_FILETYPE_PEM);
        ERR_clear_error();
        return store;
}

X509_STORE *trust_store(struct trust *t)
{
        if (!t->store)
                t->store = store_new(t);
        return t->store;
}
