/* trust.c and bundle.c: which roots are taken from which environment, what is written for the
 * child, and that nothing but certificates leaves the user's files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "inspect/jks.h"
#include "inspect/leaf.h"
#include "inspect/trust.h"

struct fixture {
        char dir[64], out[80], user_pem[96], extra_pem[96];
        EVP_PKEY *key;
        X509 *user_ca, *extra_ca, *our_ca;
};

static X509 *make_ca(EVP_PKEY **key)
{
        EVP_PKEY_free(*key);
        *key = EVP_EC_gen("P-256");
        return leaf_make_ca(*key);
}

/* A certificate as users keep it: with a comment and, carelessly, the key beside it. */
static void save(const char *path, X509 *cert, EVP_PKEY *key)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fputs("# my company's root\n", file);
        PEM_write_X509(file, cert);
        PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
        fclose(file);
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);

        strcpy(f->dir, "/tmp/test-trust-XXXXXX");
        if (!mkdtemp(f->dir))
                return -1;
        snprintf(f->out, sizeof f->out, "%s/out", f->dir);
        mkdir(f->out, 0700);
        snprintf(f->user_pem, sizeof f->user_pem, "%s/user.pem", f->dir);
        snprintf(f->extra_pem, sizeof f->extra_pem, "%s/extra.pem", f->dir);
        f->extra_ca = make_ca(&f->key);
        save(f->extra_pem, f->extra_ca, f->key);
        f->our_ca = make_ca(&f->key);
        f->user_ca = make_ca(&f->key);
        save(f->user_pem, f->user_ca, f->key);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        char command[128];

        snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
        if (system(command) != 0)
                return -1;
        X509_free(f->user_ca);
        X509_free(f->extra_ca);
        X509_free(f->our_ca);
        EVP_PKEY_free(f->key);
        free(f);
        return 0;
}

/* ---- what was exported ---- */

struct exported {
        char names[64][64];
        char values[64][512];
        size_t count;
};

static void on_set(void *ctx, const char *name, const char *value)
{
        struct exported *e = ctx;

        snprintf(e->names[e->count], sizeof *e->names, "%s", name);
        snprintf(e->values[e->count++], sizeof *e->values, "%s", value);
}

static const char *value_of(const struct exported *e, const char *name)
{
        for (size_t i = 0; i < e->count; i++)
                if (!strcmp(e->names[i], name))
                        return e->values[i];
        return NULL;
}

static void read_text(const char *path, char *out, size_t cap)
{
        FILE *file = fopen(path, "r");

        assert_non_null(file);
        out[fread(out, 1, cap - 1, file)] = '\0';
        fclose(file);
}

static bool has_cert(const char *path, X509 *wanted)
{
        FILE *file = fopen(path, "r");
        bool found = false;
        X509 *cert;

        assert_non_null(file);
        while ((cert = PEM_read_X509(file, NULL, NULL, NULL))) {
                found |= X509_cmp(cert, wanted) == 0;
                X509_free(cert);
        }
        fclose(file);
        return found;
}

static int count_certs(const char *path)
{
        FILE *file = fopen(path, "r");
        int count = 0;
        X509 *cert;

        assert_non_null(file);
        for (; (cert = PEM_read_X509(file, NULL, NULL, NULL)); count++)
                X509_free(cert);
        fclose(file);
        return count;
}

static bool store_has(struct trust *t, X509 *wanted)
{
        X509_OBJECT *object = X509_OBJECT_new();
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();

        X509_STORE_CTX_init(ctx, trust_store(t), NULL, NULL);
        STACK_OF(X509) *found = X509_STORE_CTX_get1_certs(ctx, X509_get_subject_name(wanted));
        bool has = false;
        for (int i = 0; i < sk_X509_num(found); i++)
                has |= X509_cmp(sk_X509_value(found, i), wanted) == 0;
        sk_X509_pop_free(found, X509_free);
        X509_STORE_CTX_free(ctx);
        X509_OBJECT_free(object);
        return has;
}

static struct trust *load(const char *const env[], const char **problem)
{
        struct trust *t;

        assert_int_equal(trust_load(&t, (char *const *)env, problem), 0);
        return t;
}

static void export_all(struct fixture *f, const struct trust *t, struct exported *e)
{
        e->count = 0;
        assert_int_equal(trust_export(t, f->our_ca, f->out, on_set, e), 0);
}

enum { LINE_CAP = 160 };

static char *assign(char *out, const char *name, const char *value)
{
        snprintf(out, LINE_CAP, "%s=%s", name, value);
        return out;
}

/* ---- tests ---- */

static void test_nothing_set(void **state)
{
        struct fixture *f = *state;
        const char *env[] = {"PATH=/bin", NULL}, *problem;
        struct trust *t = load(env, &problem);
        struct exported e;

        assert_null(problem);
        export_all(f, t, &e);
        const char *path = value_of(&e, "SSL_CERT_FILE");
        assert_true(has_cert(path, f->our_ca));
        assert_true(count_certs(path) > 1);
        /* Requests would take it for more than the program's own word (session.verify). */
        assert_null(value_of(&e, "REQUESTS_CA_BUNDLE"));
        assert_null(value_of(&e, "CURL_CA_BUNDLE"));
        /* Node and Deno add to their own roots: ours alone. */
        assert_int_equal(count_certs(value_of(&e, "NODE_EXTRA_CA_CERTS")), 1);
        assert_true(has_cert(value_of(&e, "NODE_EXTRA_CA_CERTS"), f->our_ca));
        assert_null(value_of(&e, "npm_config_cafile"));
        assert_null(value_of(&e, "SSL_CERT_DIR"));
        assert_false(store_has(t, f->our_ca));
        trust_free(t);
}

static void test_users_bundle_replaces(void **state)
{
        struct fixture *f = *state;
        char line[LINE_CAP];
        const char *env[] = {assign(line, "REQUESTS_CA_BUNDLE", f->user_pem), NULL};
        const char *problem;
        struct trust *t = load(env, &problem);
        struct exported e;
        char text[8192];

        export_all(f, t, &e);
        const char *path = value_of(&e, "REQUESTS_CA_BUNDLE");
        assert_int_equal(count_certs(path), 2);
        assert_true(has_cert(path, f->user_ca));
        assert_true(has_cert(path, f->our_ca));
        read_text(path, text, sizeof text);
        assert_null(strstr(text, "PRIVATE KEY"));
        assert_null(strstr(text, "company"));
        /* pip uses it too, unless its configuration file names another: PIP_CERT would outrank
         * that. OpenSSL would not. */
        assert_null(value_of(&e, "PIP_CERT"));
        assert_null(value_of(&e, "GIT_SSL_CAINFO"));
        assert_false(has_cert(value_of(&e, "SSL_CERT_FILE"), f->user_ca));
        assert_true(store_has(t, f->user_ca));
        trust_free(t);
}

/* The machine's tools may all be set to the system's bundle, and one to a test's CA: both count. */
static void test_union_of_all(void **state)
{
        struct fixture *f = *state;
        char a[LINE_CAP], b[LINE_CAP], c[LINE_CAP];
        const char *env[] = {assign(a, "PIP_CERT", f->extra_pem),
                             assign(b, "REQUESTS_CA_BUNDLE", f->user_pem),
                             assign(c, "NODE_EXTRA_CA_CERTS", f->extra_pem), NULL};
        const char *problem;
        struct trust *t = load(env, &problem);
        struct exported e;

        export_all(f, t, &e);
        assert_true(store_has(t, f->user_ca));
        assert_true(store_has(t, f->extra_ca));
        assert_false(has_cert(value_of(&e, "PIP_CERT"), f->user_ca));
        assert_true(has_cert(value_of(&e, "PIP_CERT"), f->extra_ca));
        assert_int_equal(count_certs(value_of(&e, "NODE_EXTRA_CA_CERTS")), 2);
        trust_free(t);
}

/* A wrong path is the user's error: the client must still meet it, and be told apart from ours. */
static void test_unreadable_file(void **state)
{
        struct fixture *f = *state;
        const char *env[] = {"CURL_CA_BUNDLE=/nonexistent.pem", NULL}, *problem;
        struct trust *t = load(env, &problem);
        struct exported e;

        assert_non_null(problem);
        assert_non_null(strstr(problem, "CURL_CA_BUNDLE"));
        export_all(f, t, &e);
        assert_null(value_of(&e, "CURL_CA_BUNDLE"));
        assert_null(value_of(&e, "REQUESTS_CA_BUNDLE"));
        assert_non_null(value_of(&e, "SSL_CERT_FILE"));
        trust_free(t);
}

static void test_only_if_set(void **state)
{
        struct fixture *f = *state;
        char a[LINE_CAP], b[LINE_CAP];
        const char *env[] = {assign(a, "npm_config_cafile", f->user_pem),
                             assign(b, "POETRY_CERTIFICATES_PRIVATE_CERT", f->extra_pem),
                             "POETRY_CERTIFICATES_OTHER_CERT=false", "CONDA_SSL_VERIFY=true", NULL};
        const char *problem;
        struct trust *t = load(env, &problem);
        struct exported e;

        assert_null(problem);
        export_all(f, t, &e);
        assert_true(has_cert(value_of(&e, "npm_config_cafile"), f->user_ca));
        assert_true(has_cert(value_of(&e, "POETRY_CERTIFICATES_PRIVATE_CERT"), f->extra_ca));
        assert_null(value_of(&e, "POETRY_CERTIFICATES_OTHER_CERT"));
        assert_null(value_of(&e, "CONDA_SSL_VERIFY"));
        assert_true(store_has(t, f->user_ca));
        trust_free(t);
}

static void test_certificate_directory(void **state)
{
        struct fixture *f = *state;
        char dir[96], link[128], line[LINE_CAP];

        snprintf(dir, sizeof dir, "%s/certs", f->dir);
        mkdir(dir, 0700);
        snprintf(link, sizeof link, "%s/%08lx.0", dir, X509_subject_name_hash(f->user_ca));
        assert_int_equal(symlink(f->user_pem, link), 0);
        const char *env[] = {assign(line, "SSL_CERT_DIR", dir), NULL};
        const char *problem;
        struct trust *t = load(env, &problem);
        struct exported e;

        export_all(f, t, &e);
        /* The directory had replaced the system's roots, so the bundle holds what is in it. */
        assert_int_equal(count_certs(value_of(&e, "SSL_CERT_FILE")), 2);
        assert_true(has_cert(value_of(&e, "SSL_CERT_FILE"), f->user_ca));
        assert_true(store_has(t, f->user_ca));
        assert_null(value_of(&e, "SSL_CERT_DIR"));
        trust_free(t);
}

static void test_config_files(void **state)
{
        struct fixture *f = *state;
        char home[LINE_CAP], rc[96], text[1024];
        const char *problem;
        FILE *file;

        snprintf(rc, sizeof rc, "%s/.wgetrc", f->dir);
        assert_non_null(file = fopen(rc, "w"));
        fprintf(file, "http_user = me\nca_certificate = %s", f->user_pem);
        fclose(file);
        const char *env[] = {assign(home, "HOME", f->dir), "APT_CONFIG=/etc/my-apt.conf", NULL};
        chmod(f->out, 0711); /* as a directory that apt's user may enter */
        struct trust *t = load(env, &problem);
        struct exported e;
        export_all(f, t, &e);
        read_text(value_of(&e, "WGETRC"), text, sizeof text);
        assert_ptr_equal(strstr(text, "http_user = me\n"), text);
        char *last = strrchr(text, '=') + 2;
        last[strcspn(last, "\n")] = '\0';
        assert_true(has_cert(last, f->user_ca) && has_cert(last, f->our_ca));
        struct stat st;
        assert_int_equal(stat(value_of(&e, "WGETRC"), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        read_text(value_of(&e, "APT_CONFIG"), text, sizeof text);
        assert_non_null(strstr(text, "#include \"/etc/my-apt.conf\";\nAcquire::https::CaInfo \""));
        trust_free(t);
}

static void test_private_directory_of_root(void **state)
{
        struct fixture *f = *state;
        const char *env[] = {"PATH=/bin", NULL}, *problem;
        struct trust *t = load(env, &problem);
        struct exported e;

        export_all(f, t, &e);
        assert_int_equal(value_of(&e, "APT_CONFIG") == NULL, geteuid() == 0);
        /* A second export into the same directory would overwrite what a client reads. */
        assert_int_equal(trust_export(t, f->our_ca, f->out, on_set, &e), -EEXIST);
        trust_free(t);
}

/* ---- Java ---- */

/* A JDK, as far as it matters here, with one root. */
static void make_jdk(const struct fixture *f, char *line)
{
        struct bundle empty = {0};
        char path[128];

        snprintf(path, sizeof path, "%s/lib", f->dir);
        mkdir(path, 0700);
        strcat(path, "/security");
        mkdir(path, 0700);
        strcat(path, "/cacerts");
        assert_int_equal(jks_write(&empty, f->extra_ca, path), 0);
        assign(line, "JAVA_HOME", f->dir);
}

static void test_java(void **state)
{
        struct fixture *f = *state;
        char home[LINE_CAP], more[512];
        make_jdk(f, home);
        const char *env[] = {home, "MAVEN_OPTS=-Xmx1g", "JAVA_TOOL_OPTIONS=-Da=b",
                             "GRADLE_OPTS=-Djavax.net.ssl.trustStore=/own", NULL};
        const char *problem;
        struct trust *t = load(env, &problem);
        struct bundle written = {0};
        struct exported e;
        char path[128];

        export_all(f, t, &e);
        const char *options = value_of(&e, "MAVEN_OPTS");
        assert_non_null(options);
        assert_int_equal(sscanf(options, "-Djavax.net.ssl.trustStore=%127s", path), 1);
        /* The user's own come last, where they win. */
        assert_string_equal(options + strlen(options) - 7, " -Xmx1g");
        assert_int_equal(jks_add(&written, path), 2);
        snprintf(more, sizeof more, "%s", value_of(&e, "JAVA_TOOL_OPTIONS"));
        assert_non_null(strstr(more, path));
        assert_null(value_of(&e, "GRADLE_OPTS"));
        assert_null(value_of(&e, "JDK_JAVA_OPTIONS")); /* Java would print it */
        assert_true(store_has(t, f->extra_ca));
        bundle_fini(&written);
        trust_free(t);
}

/* Cut anywhere, and with any one byte changed, a store is read without harm. */
static void test_broken_stores(void **state)
{
        struct fixture *f = *state;
        struct bundle empty = {0}, b = {0};
        char path[128], text[4096];

        snprintf(path, sizeof path, "%s/store", f->dir);
        assert_int_equal(jks_write(&empty, f->extra_ca, path), 0);
        FILE *file = fopen(path, "r+");
        size_t len = fread(text, 1, sizeof text, file);
        for (size_t i = 0; i < len; i++) {
                int was = (unsigned char)text[i];
                fseek(file, (long)i, SEEK_SET);
                fputc(was ^ 0xff, file);
                fflush(file);
                jks_add(&b, path);
                bundle_fini(&b);
                fseek(file, (long)i, SEEK_SET);
                fputc(was, file);
        }
        for (size_t i = len; i-- > 0;) {
                fflush(file);
                assert_int_equal(ftruncate(fileno(file), (off_t)i), 0);
                assert_true(jks_add(&b, path) <= 1);
                bundle_fini(&b);
        }
        fclose(file);
        assert_int_equal(jks_add(&b, "/nonexistent"), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_set, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_users_bundle_replaces, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_union_of_all, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unreadable_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_only_if_set, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_certificate_directory, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_config_files, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_private_directory_of_root, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_java, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_broken_stores, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
