/* Addresses as text: what we write is what inet_ntop(3) writes. */
#include "net/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void check(const struct wire_addr *address)
{
        char ours[64], theirs[64];

        memset(ours, 'x', sizeof ours);
        address_literal(address, ours);
        assert_non_null(inet_ntop(address->family, address->bytes, theirs, sizeof theirs));
        assert_string_equal(ours, theirs);
}

/* Every value of an octet, at each place. */
static void test_v4(void **state)
{
        struct wire_addr address = {.family = AF_INET, .bytes = {192, 0, 2, 10}};

        (void)state;
        for (int place = 0; place < 4; place++)
                for (unsigned value = 0; value < 256; value++) {
                        struct wire_addr one = address;

                        one.bytes[place] = (uint8_t)value;
                        check(&one);
                }
}

static void test_v6(void **state)
{
        struct wire_addr address = {.family = AF_INET6, .bytes = {0x20, 0x01, 0x0d, 0xb8}};

        (void)state;
        check(&address);
        address.bytes[15] = 1;
        check(&address);
}

static void test_no_family(void **state)
{
        struct wire_addr address = {.family = AF_UNSPEC};
        char text[64] = "x";

        (void)state;
        address_literal(&address, text);
        assert_string_equal(text, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_v4),
                cmocka_unit_test(test_v6),
                cmocka_unit_test(test_no_family),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
