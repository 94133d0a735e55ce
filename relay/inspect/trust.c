/* trust.c: decides from the user's environment which roots each kind of client has, and points
 * clients at bundles that hold the same roots and our CA. Owns the table of variables. Reading
 * and writing of bundles is bundle.c; the reasons for each line are in docs/inspection.md. */
#include "inspect/trust.h"
#include "inspect/bundle.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>

enum variable_rule {
        ALWAYS,    /* replaces the client's roots: its own, or those of its fallbacks, and ours */
        ADDS,      /* adds to the client's roots: its own file, if any, and ours alone */
        IF_SET,    /* as ALWAYS, but only where the user has set it to a file */
        WGET_FILE, /* a wgetrc(5): the user's own lines, then ca_certificate */
        APT_FILE,  /* an apt.conf(5): includes the user's own, then CaInfo */
};

struct variable {
        const char *name; /* a trailing and a leading part around one '*' */
        enum variable_rule rule;
        const char *fallbacks[3]; /* what the client reads when this one is not set, in order */
};

static const struct variable variables[] = {
        {"SSL_CERT_FILE", ALWAYS, {"SSL_CERT_DIR"}},
        {"CURL_CA_BUNDLE", ALWAYS, {"SSL_CERT_FILE", "SSL_CERT_DIR"}},
        {"REQUESTS_CA_BUNDLE", ALWAYS, {"CURL_CA_BUNDLE"}},
        {"PIP_CERT", ALWAYS, {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}},
        {"AWS_CA_BUNDLE", ALWAYS, {"REQUESTS_CA_BUNDLE"}},
        {"GIT_SSL_CAINFO", ALWAYS, {0}},
        {"CARGO_HTTP_CAINFO", ALWAYS, {"SSL_CERT_FILE", "SSL_CERT_DIR"}},
        {"YARN_HTTPS_CA_FILE_PATH", ALWAYS, {0}},
        {"COMPOSER_CAFILE", ALWAYS, {"SSL_CERT_FILE", "SSL_CERT_DIR"}},
        {"BUNDLE_SSL_CA_CERT", ALWAYS, {"SSL_CERT_FILE", "SSL_CERT_DIR"}},
        {"NIX_SSL_CERT_FILE", ALWAYS, {"SSL_CERT_FILE"}},
        {"NODE_EXTRA_CA_CERTS", ADDS, {0}},
        {"DENO_CERT", ADDS, {0}},
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
};

enum {
        VARIABLE_COUNT = sizeof variables / sizeof *variables,
        CHOICES_CAP = 64, /* the table, and as many of the user's own Poetry repositories as fit */
};

/* Roots as one or more clients have them. */
struct source {
        struct source *next;
        char *path; /* owned; "" is the system's, NULL adds nothing to ours */
        struct bundle bundle;
};

/* A variable that will be set in the child. */
struct choice {
        const struct variable *variable;
        char *name;            /* owned */
        char *user_file;       /* owned: the user's own wgetrc or apt.conf, or NULL */
        struct source *source; /* borrowed from the list */
};

struct trust {
        struct source *sources; /* owned */
        struct choice choices[CHOICES_CAP];
        size_t choice_count;
        char *hashed_dir;  /* owned: the user's SSL_CERT_DIR, or NULL */
        X509_STORE *store; /* owned; NULL until asked for */
        char problem[256]; /* the first one */
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

static int source_read(struct source *s, const char *path)
{
        if (!path)
                return 0;
        s->path = strdup(path);
        if (!s->path)
                return -ENOMEM;
        if (*path)
                return bundle_add(&s->bundle, path);
        /* A machine without roots is possible; its clients then trust ours alone. */
        return bundle_add_system(&s->bundle) == -ENOMEM ? -ENOMEM : 0;
}

/* The roots at path, read once. Returns NULL with *error when they cannot be had. */
static struct source *source_get(struct trust *t, const char *path, int *error)
{
        for (struct source *s = t->sources; s; s = s->next)
                if (same_path(s->path, path))
                        return s;
        struct source *s = calloc(1, sizeof *s);
        *error = s ? source_read(s, path) : -ENOMEM;
        if (s && *error) {
                source_free(s);
                return NULL;
        }
        if (s) {
                s->next = t->sources;
                t->sources = s;
        }
        return s;
}

static int choose(struct trust *t, const struct variable *v, const char *name, const char *path,
                  const char *user_file)
{
        struct choice *c = &t->choices[t->choice_count];
        int error = 0;

        if (t->choice_count == CHOICES_CAP)
                return 0;
        c->source = source_get(t, path, &error);
        if (!c->source)
                return error;
        c->variable = v;
        c->name = strdup(name);
        c->user_file = user_file ? strdup(user_file) : NULL;
        t->choice_count++;
        return c->name && (c->user_file || !user_file) ? 0 : -ENOMEM;
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
        return choose(t, v, v->name, "", NULL);
}

static bool is_file(const char *path)
{
        return path && access(path, F_OK) == 0;
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
                if (is_file(equals + 1))
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
                return is_file(value) ? choose_users(t, v, v->name, value) : 0;
        case WGET_FILE:
                return choose_wget(t, v, env);
        case APT_FILE:
                return choose(t, v, v->name, "", value);
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
                free(t->choices[i].user_file);
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
                        bundle_fill(&s->bundle, store);
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

/* ---- writing ---- */

static int source_index(const struct trust *t, const struct source *source)
{
        int i = 0;

        for (const struct source *s = t->sources; s && s != source; s = s->next)
                i++;
        return i;
}

static int write_sources(const struct trust *t, X509 *ca, const char *dir)
{
        char path[PATH_MAX];
        int error = 0, i = 0;

        for (const struct source *s = t->sources; s && !error; s = s->next) {
                snprintf(path, sizeof path, "%s/bundle-%d.pem", dir, i++);
                error = bundle_write(&s->bundle, ca, path);
        }
        return error;
}

/* Copy a file line by line. A last line without its newline gets one. */
static void copy_lines(const char *from, FILE *to)
{
        FILE *file = fopen(from, "re");
        int c, last = '\n';

        if (!file)
                return;
        while ((c = fgetc(file)) != EOF)
                fputc(last = c, to);
        if (last != '\n')
                fputc('\n', to);
        fclose(file);
}

/* A client's own configuration, then the line that adds ours. 0600 for wgetrc: it may hold the
 * user's passwords. Apt's holds none and is read by another user. */
static int write_config(const struct choice *c, const char *bundle, const char *path)
{
        bool wget = c->variable->rule == WGET_FILE;
        FILE *file = fopen(path, "wxe");

        if (!file)
                return -errno;
        if (fchmod(fileno(file), wget ? 0600 : 0644) < 0) {
                fclose(file);
                return -EIO;
        }
        if (wget && c->user_file)
                copy_lines(c->user_file, file);
        else if (c->user_file)
                fprintf(file, "#include \"%s\";\n", c->user_file);
        fprintf(file, wget ? "ca_certificate = %s\n" : "Acquire::https::CaInfo \"%s\";\n", bundle);
        return fclose(file) == 0 ? 0 : -EIO;
}

/* Root's apt reads as user _apt: a bundle behind a private directory would break what works. */
static bool may_export(const struct choice *c, const char *dir)
{
        struct stat st;

        if (c->variable->rule != APT_FILE || geteuid() != 0)
                return true;
        return stat(dir, &st) == 0 && (st.st_mode & S_IXOTH);
}

static int export_choice(const struct trust *t, const struct choice *c, const char *dir,
                         void (*set)(void *, const char *, const char *), void *ctx)
{
        char bundle[PATH_MAX], config[PATH_MAX];
        bool is_config = c->variable->rule == WGET_FILE || c->variable->rule == APT_FILE;
        int error = 0;

        snprintf(bundle, sizeof bundle, "%s/bundle-%d.pem", dir, source_index(t, c->source));
        if (!may_export(c, dir))
                return 0;
        if (is_config) {
                snprintf(config, sizeof config, "%s/%s", dir,
                         c->variable->rule == WGET_FILE ? "wgetrc" : "apt.conf");
                error = write_config(c, bundle, config);
        }
        if (!error)
                set(ctx, c->name, is_config ? config : bundle);
        return error;
}

int trust_export(const struct trust *t, X509 *ca, const char *dir,
                 void (*set)(void *ctx, const char *name, const char *value), void *ctx)
{
        int error = strlen(dir) < PATH_MAX - 64 ? write_sources(t, ca, dir) : -ENAMETOOLONG;

        for (size_t i = 0; i < t->choice_count && !error; i++)
                error = export_choice(t, &t->choices[i], dir, set, ctx);
        return error;
}
