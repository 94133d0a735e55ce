/* roots.c: what a process has loaded is what its origins are verified against, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/pem.h>

#include "inspect/leaf.h"
#include "inspect/roots.h"

struct fixture {
        char dir[64], one_pem[96], two_pem[96];
        X509 *one, *two;
        struct roots *roots;
};

static X509 *make(const char *path)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *cert = leaf_make_ca(key);
        X509_NAME *name = X509_NAME_new();
        FILE *file = fopen(path, "w");

        /* Names of their own, as authorities have. */
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)path, -1, -1,
                                   0);
        X509_set_subject_name(cert, name);
        X509_set_issuer_name(cert, name);
        X509_sign(cert, key, EVP_sha256());
        X509_NAME_free(name);

        assert_non_null(file);
        PEM_write_X509(file, cert);
        fclose(file);
        EVP_PKEY_free(key);
        return cert;
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);

        strcpy(f->dir, "/tmp/test-roots-XXXXXX");
        if (!mkdtemp(f->dir))
                return -1;
        snprintf(f->one_pem, sizeof f->one_pem, "%s/one.pem", f->dir);
        snprintf(f->two_pem, sizeof f->two_pem, "%s/two.pem", f->dir);
        f->one = make(f->one_pem);
        f->two = make(f->two_pem);
        f->roots = roots_new();
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
        roots_free(f->roots);
        X509_free(f->one);
        X509_free(f->two);
        free(f);
        return 0;
}

static bool accepts(X509_STORE *store, X509 *cert)
{
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();

        X509_STORE_CTX_init(ctx, store, cert, NULL);
        bool ok = X509_verify_cert(ctx) == 1;
        X509_STORE_CTX_free(ctx);
        return ok;
}

static bool add_file(struct fixture *f, pid_t pid, const char *path)
{
        return roots_add(f->roots, pid, ROOTS_FILE, path, strlen(path) + 1);
}

static void test_only_what_was_told(void **state)
{
        struct fixture *f = *state;
        pid_t me = getpid();

        assert_null(roots_store(f->roots, me));
        assert_true(add_file(f, me, f->one_pem));
        assert_false(add_file(f, me, f->one_pem)); /* known */
        assert_true(accepts(roots_store(f->roots, me), f->one));
        assert_false(accepts(roots_store(f->roots, me), f->two));
        assert_true(add_file(f, me, f->two_pem));
        assert_true(accepts(roots_store(f->roots, me), f->two));
}

static void test_a_new_program_begins_anew(void **state)
{
        struct fixture *f = *state;
        pid_t me = getpid();

        add_file(f, me, f->one_pem);
        roots_begin(f->roots, me);
        assert_null(roots_store(f->roots, me));
        add_file(f, me, f->two_pem);
        assert_false(accepts(roots_store(f->roots, me), f->one));
}

/* A file that holds nothing, or is not there: the program trusts nobody, and so do we. */
static void test_nothing_to_trust(void **state)
{
        struct fixture *f = *state;

        assert_true(add_file(f, getpid(), "/nonexistent.pem"));
        X509_STORE *store = roots_store(f->roots, getpid());
        assert_non_null(store);
        assert_false(accepts(store, f->one));
}

static void test_a_file_that_changes(void **state)
{
        struct fixture *f = *state;
        pid_t me = getpid();

        add_file(f, me, f->one_pem);
        assert_int_equal(rename(f->two_pem, f->one_pem), 0);
        assert_true(add_file(f, me, f->one_pem)); /* another one now */
        assert_true(accepts(roots_store(f->roots, me), f->two));
        assert_true(accepts(roots_store(f->roots, me), f->one)); /* what was loaded stays loaded */
}

static void test_certificates_from_memory(void **state)
{
        struct fixture *f = *state;
        unsigned char *der = NULL;
        int len = i2d_X509(f->one, &der);
        pid_t me = getpid();

        assert_true(roots_add(f->roots, me, ROOTS_CERTIFICATE, (char *)der, (size_t)len));
        assert_true(accepts(roots_store(f->roots, me), f->one));
        assert_false(accepts(roots_store(f->roots, me), f->two));
        /* Bytes that are no certificate leave it as it is. */
        assert_false(roots_add(f->roots, me, ROOTS_CERTIFICATE, "\x30\x03xyz", 5));
        assert_false(roots_add(f->roots, me, ROOTS_CERTIFICATE, "", 0));
        assert_true(accepts(roots_store(f->roots, me), f->one));
        OPENSSL_free(der);
}

static void test_directories(void **state)
{
        struct fixture *f = *state;
        char link[128], list[200];

        snprintf(link, sizeof link, "%s/%08lx.0", f->dir, X509_subject_name_hash(f->one));
        assert_int_equal(symlink(f->one_pem, link), 0);
        snprintf(list, sizeof list, "/nonexistent:%s", f->dir);
        roots_add(f->roots, getpid(), ROOTS_DIRECTORY, list, strlen(list) + 1);
        assert_true(accepts(roots_store(f->roots, getpid()), f->one));
}

/* fork(2) hands on what was loaded, exec(2) of a program that says nothing does not. */
static void test_children(void **state)
{
        struct fixture *f = *state;
        int hold[2];
        pid_t child;
        char byte;

        add_file(f, getpid(), f->one_pem);
        assert_int_equal(pipe(hold), 0);
        child = fork();
        if (child == 0) {
                close(hold[1]);
                _exit(read(hold[0], &byte, 1) < 0);
        }
        assert_true(accepts(roots_store(f->roots, child), f->one));
        close(hold[0]);
        close(hold[1]);
        waitpid(child, NULL, 0);
        assert_int_equal(pipe(hold), 0);
        child = fork();
        if (child == 0) {
                dup2(hold[0], 0);
                close(hold[1]);
                execl("/bin/cat", "cat", (char *)NULL);
                _exit(1);
        }
        for (int i = 0; i < 500; i++) {
                char path[40], exe[64] = "";
                snprintf(path, sizeof path, "/proc/%d/exe", (int)child);
                if (readlink(path, exe, sizeof exe - 1) > 0 && strstr(exe, "cat"))
                        break;
                usleep(10000);
        }
        assert_null(roots_store(f->roots, child));
        close(hold[0]);
        close(hold[1]);
        waitpid(child, NULL, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_only_what_was_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_new_program_begins_anew, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nothing_to_trust, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_file_that_changes, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_certificates_from_memory, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_directories, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_children, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
