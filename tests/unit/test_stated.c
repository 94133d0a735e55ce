/* What an answer states of its body: three spellings, and what is no statement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "inspect/stated.h"

#include <string.h>

#define EMPTY_HEX    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define EMPTY_BASE64 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static bool stated(const char *name, const char *value, char hex[SHA256_HEX])
{
        struct http_header header = {name, value, (uint32_t)strlen(name), (uint32_t)strlen(value)};
        struct http_head head = {.headers = &header, .header_count = 1};

        return stated_sha256(&head, hex);
}

static void three_spellings(void **state)
{
        static const char *const cases[][2] = {
                {"Repr-Digest", "sha-256=:" EMPTY_BASE64 ":"},
                {"repr-digest", "sha-512=:AAAA:, sha-256=:" EMPTY_BASE64 ":"},
                {"Digest", "SHA-256=" EMPTY_BASE64},
                {"X-Checksum-Sha256", EMPTY_HEX},
                {"X-CHECKSUM-SHA256",
                 "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"},
        };
        char hex[SHA256_HEX];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                assert_true(stated(cases[i][0], cases[i][1], hex));
                assert_string_equal(hex, EMPTY_HEX);
        }
}

static void no_statement(void **state)
{
        static const char *const cases[][2] = {
                {"Repr-Digest", "sha-256=:AAAA:"},
                {"Repr-Digest", "sha-256="},
                {"Repr-Digest", ""},
                {"Digest", "md5=" EMPTY_BASE64},
                {"X-Checksum-Sha256", "e3b0"},
                {"X-Checksum-Sha256",
                 "g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                {"ETag", EMPTY_HEX},
                {"Want-Repr-Digest", "sha-256=:" EMPTY_BASE64 ":"},
        };
        char hex[SHA256_HEX];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_false(stated(cases[i][0], cases[i][1], hex));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(three_spellings),
                cmocka_unit_test(no_statement),
        };

        return cmocka_run_group_tests_name("stated", tests, NULL, NULL);
}
