/* Challenges of proxies, Digest by the vectors of RFC 7616, and which scheme is chosen. */
#include "net/auth.h"
#include "net/challenge.h"
#include "net/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The challenges of text as "Scheme[token](name=value,...)" with blanks between them. */
static void describe(const char *text, size_t len, char *out, size_t cap)
{
        const char *at = text;
        struct challenge c;
        char value[300];

        *out = '\0';
        while (challenge_next(&at, text + len, &c)) {
                snprintf(out + strlen(out), cap - strlen(out), "%s%.*s[%.*s](",
                         *out != '\0' ? " " : "", (int)c.scheme.len, c.scheme.at, (int)c.token.len,
                         c.token.at);
                for (size_t i = 0; i < c.param_count; i++) {
                        char name[64];

                        snprintf(name, sizeof name, "%.*s", (int)c.params[i].name.len,
                                 c.params[i].name.at);
                        challenge_param(&c, name, value, sizeof value);
                        snprintf(out + strlen(out), cap - strlen(out), "%s%s=%s", i > 0 ? "," : "",
                                 name, value);
                }
                snprintf(out + strlen(out), cap - strlen(out), ")");
        }
}

static void test_challenges(void **state)
{
        static const char *const rows[][2] = {
                {"Basic realm=\"x\"", "Basic[](realm=x)"},
                {"basic realm=x", "basic[](realm=x)"},
                {"Negotiate", "Negotiate[]()"},
                {"Negotiate, NTLM", "Negotiate[]() NTLM[]()"},
                {"Negotiate YWJj==", "Negotiate[YWJj==]()"},
                {"Negotiate YWJj , Basic realm=\"a, b\"", "Negotiate[YWJj]() Basic[](realm=a, b)"},
                {"Digest realm=\"r\",nonce=\"n\", qop=\"auth,auth-int\",Basic realm=\"b\"",
                 "Digest[](realm=r,nonce=n,qop=auth,auth-int) Basic[](realm=b)"},
                {"Basic realm = \"a\\\"b\\\\c\"", "Basic[](realm=a\"b\\c)"},
                {", ,Basic realm=\"\",,  Digest  nonce=q,realm=z",
                 "Basic[](realm=) Digest[](nonce=q,realm=z)"},
                {"Basic realm=\"never ends", "Basic[]()"},
                {"\"Basic\"", ""},
                {"Basic=x", ""},
                {"", ""},
        };
        char out[600];

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                describe(rows[i][0], strlen(rows[i][0]), out, sizeof out);
                assert_string_equal(out, rows[i][1]);
        }
}

/* Cut anywhere, in memory that ends there: nothing behind it is read. */
static void test_cut_challenges(void **state)
{
        static const char text[] = "Negotiate YWJj==, Digest realm=\"r\\\"\", nonce=\"n\", stale = "
                                   "true, Basic realm=x";
        char out[600];

        (void)state;
        for (size_t len = 0; len < sizeof text; len++) {
                char *cut = malloc(len != 0 ? len : 1);

                memcpy(cut, text, len);
                describe(cut, len, out, sizeof out);
                free(cut);
        }
}

static bool read_digest(const char *text, struct digest *out)
{
        const char *at = text;
        struct challenge c;

        assert_true(challenge_next(&at, text + strlen(text), &c));
        return digest_read(&c, out);
}

/* The value of a parameter of "Digest ..."; quotes left out. */
static const char *param_of(const char *answer, const char *name)
{
        static char value[300];
        const char *at = answer;
        struct challenge c;

        assert_true(challenge_next(&at, answer + strlen(answer), &c));
        return challenge_param(&c, name, value, sizeof value) >= 0 ? value : NULL;
}

/* RFC 7616 section 3.9.1 */
static void test_rfc7616(void **state)
{
        static const char *const rows[][2] = {
                {"MD5", "8ca523f5e9506fed4657c9700eebdbec"},
                {"SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
                /* with A1 of the session variants, computed apart */
                {"md5-sess", "e783283f46242139c486a698fec7211d"},
                {"SHA-256-sess",
                 "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"},
        };
        struct digest_login login = {.user = "Mufasa",
                                     .password = "Circle of Life",
                                     .method = "GET",
                                     .uri = "/dir/index.html",
                                     .cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                                     .count = 1};

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char text[500], *answer;
                struct digest d;

                snprintf(text, sizeof text,
                         "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", "
                         "algorithm=%s, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
                         "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
                         rows[i][0]);
                assert_true(read_digest(text, &d));
                answer = digest_answer(&d, &login);
                assert_string_equal(param_of(answer, "response"), rows[i][1]);
                assert_string_equal(param_of(answer, "username"), "Mufasa");
                assert_string_equal(param_of(answer, "nc"), "00000001");
                assert_string_equal(param_of(answer, "algorithm"), rows[i][0]);
                assert_string_equal(param_of(answer, "opaque"),
                                    "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
                free(answer);
        }
}

/* RFC 7616 section 3.9.2 as erratum 4897 has it, for the hashed name; and without qop and
 * algorithm the form of RFC 2069. */
static void test_userhash_and_old_form(void **state)
{
        struct digest_login login = {.user = "J\xc3\xa4s\xc3\xb8n Doe",
                                     .password = "Secret, or not?",
                                     .method = "GET",
                                     .uri = "/doe.json",
                                     .cnonce = "c",
                                     .count = 0x1f};
        struct digest d;
        char *answer;

        (void)state;
        assert_true(read_digest("Digest realm=\"api@example.org\", nonce=n, qop=auth, "
                                "algorithm=SHA-512-256, userhash=true",
                                &d));
        answer = digest_answer(&d, &login);
        assert_string_equal(param_of(answer, "username"),
                            "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
        assert_string_equal(param_of(answer, "userhash"), "true");
        assert_string_equal(param_of(answer, "nc"), "0000001f");
        free(answer);
        login = (struct digest_login){.user = "Mufasa",
                                      .password = "Circle Of Life",
                                      .method = "GET",
                                      .uri = "/dir/index.html",
                                      .cnonce = "c",
                                      .count = 1};
        assert_true(read_digest("Digest realm=\"testrealm@host.com\", "
                                "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"",
                                &d));
        answer = digest_answer(&d, &login);
        assert_string_equal(param_of(answer, "response"), "670fd8c2df070c60b045671b8b24ff02");
        assert_null(param_of(answer, "qop"));
        assert_null(param_of(answer, "cnonce"));
        free(answer);
}

static void test_digests_that_are_left_alone(void **state)
{
        static const char *const rows[] = {
                "Digest realm=r",
                "Digest nonce=n",
                "Digest realm=r, nonce=n, algorithm=SHA-1",
                "Digest realm=r, nonce=n, algorithm=-sess",
                "Digest realm=r, nonce=n, qop=auth-int",
        };
        struct digest d;

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                if (read_digest(rows[i], &d))
                        fail_msg("taken: %s", rows[i]);
}

/* ---- the choice ---- */

static struct upstream *upstream(const char *url)
{
        struct upstream *up;
        const char *why;

        assert_int_equal(upstream_parse(url, &up, &why), 0);
        return up;
}

static enum auth_next challenge(struct auth *a, const char *fields)
{
        static struct head head;
        char text[2000];

        snprintf(text, sizeof text, "HTTP/1.1 407 No\r\n%s\r\n\r\n", fields);
        assert_int_equal(head_parse_response(text, strlen(text), &head), HEAD_OK);
        return auth_challenged(a, &head);
}

static void test_the_best_scheme_is_taken(void **state)
{
        static const char both[] =
                "Proxy-Authenticate: BASIC realm=x\r\n"
                "proxy-authenticate: Bearer, dIGEST realm=x, nonce=one, qop=auth, algorithm=MD5";
        struct upstream *up = upstream("http://u:p@h:1");
        struct auth *a = auth_new(up->hops, "CONNECT", "t:1");

        (void)state;
        assert_null(auth_value(a)); /* nothing is said before it is asked for */
        assert_int_equal(challenge(a, both), AUTH_RETRY);
        assert_memory_equal(auth_value(a), "Digest ", 7);
        assert_string_equal(param_of(auth_value(a), "nc"), "00000001");
        /* refused: each scheme once */
        assert_int_equal(challenge(a, both), AUTH_RETRY);
        assert_string_equal(auth_value(a), "Basic dTpw");
        assert_int_equal(challenge(a, both), AUTH_STOP);
        auth_free(a);
        upstream_free(up);
}

static void test_a_nonce_is_used_again_and_counted(void **state)
{
        static const char first[] = "Proxy-Authenticate: Digest realm=x, nonce=one, qop=auth";
        static const char second[] =
                "Proxy-Authenticate: Digest realm=x, nonce=two, qop=auth, stale=true";
        struct upstream *up = upstream("http://u:p@h:1");
        struct auth *a = auth_new(up->hops, "CONNECT", "t:1");

        (void)state;
        assert_int_equal(challenge(a, first), AUTH_RETRY);
        auth_accepted(a);
        auth_free(a);
        for (int i = 2; i < 5; i++) {
                char count[9];

                a = auth_new(up->hops, "CONNECT", "t:1");
                snprintf(count, sizeof count, "%08x", i);
                assert_string_equal(param_of(auth_value(a), "nonce"), "one");
                assert_string_equal(param_of(auth_value(a), "nc"), count);
                auth_free(a);
        }
        a = auth_new(up->hops, "CONNECT", "t:1");
        assert_int_equal(challenge(a, second), AUTH_RETRY);
        assert_string_equal(param_of(auth_value(a), "nonce"), "two");
        assert_string_equal(param_of(auth_value(a), "nc"), "00000001");
        /* stale again and again is no reason to go on for ever */
        assert_int_equal(challenge(a, second), AUTH_RETRY);
        assert_int_equal(challenge(a, second), AUTH_STOP);
        auth_free(a);
        upstream_free(up);
}

static void test_basic_without_being_asked(void **state)
{
        struct upstream *up = upstream("http://u:p@h:1"), *none = upstream("http://h:1");
        struct upstream *tls = upstream("https://u:p@h:1");
        struct auth *a = auth_new(up->hops, "CONNECT", "t:1");

        (void)state;
        assert_int_equal(auth_snubbed(a), AUTH_RETRY);
        assert_string_equal(auth_value(a), "Basic dTpw");
        assert_int_equal(auth_snubbed(a), AUTH_STOP);
        auth_accepted(a);
        auth_free(a);
        a = auth_new(up->hops, "CONNECT", "t:1"); /* remembered */
        assert_string_equal(auth_value(a), "Basic dTpw");
        assert_int_equal(challenge(a, "Proxy-Authenticate: Basic realm=x"), AUTH_STOP);
        auth_free(a);
        a = auth_new(none->hops, "CONNECT", "t:1");
        assert_int_equal(auth_snubbed(a), AUTH_STOP);
        assert_int_equal(challenge(a, "Proxy-Authenticate: Basic realm=x"), AUTH_STOP);
        auth_free(a);
        a = auth_new(tls->hops, "CONNECT", "t:1"); /* nobody else can read it */
        assert_string_equal(auth_value(a), "Basic dTpw");
        auth_free(a);
        upstream_free(tls);
        upstream_free(none);
        upstream_free(up);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_challenges),
                cmocka_unit_test(test_cut_challenges),
                cmocka_unit_test(test_rfc7616),
                cmocka_unit_test(test_userhash_and_old_form),
                cmocka_unit_test(test_digests_that_are_left_alone),
                cmocka_unit_test(test_the_best_scheme_is_taken),
                cmocka_unit_test(test_a_nonce_is_used_again_and_counted),
                cmocka_unit_test(test_basic_without_being_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
