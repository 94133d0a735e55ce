/* net/socks.c: what SOCKS clients send. */
#include "fuzz.h"

#include "net/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        char *copy = fuzz_copy(data, len);
        struct socks_request request;
        struct socks_greeting greeting;
        struct socks_login login;

        if (socks4_request(copy, len, &request) == SOCKS_OK)
                REQUIRE(request.len <= len && memchr(request.host, 0, sizeof request.host) != NULL);
        if (socks5_request(copy, len, &request) == SOCKS_OK)
                REQUIRE(request.len <= len && memchr(request.host, 0, sizeof request.host) != NULL);
        if (socks5_greeting(copy, len, &greeting) == SOCKS_OK)
                REQUIRE(greeting.len <= len);
        if (socks5_login(copy, len, &login) == SOCKS_OK)
                REQUIRE(login.password + login.password_len <= copy + len);
        free(copy);
        return 0;
}
