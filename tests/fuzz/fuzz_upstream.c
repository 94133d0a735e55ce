/* What upstream proxies say, and where their logins stand: net/challenge.c, net/digest.c,
 * net/socks_out.c, cli/netrc.c, net/upstream_url.c. */
#include "fuzz.h"

#include "cli/netrc.h"
#include "net/digest.h"
#include "net/socks_out.h"
#include "net/upstream_url.h"

static void read_challenges(const char *data, size_t len)
{
        const char *at = data, *end = data + len;
        struct digest digest;
        struct challenge c;

        while (challenge_next(&at, end, &c)) {
                REQUIRE(at <= end && c.scheme.len > 0 && c.scheme.at + c.scheme.len <= end);
                REQUIRE(c.token.at + c.token.len <= end && c.param_count <= CHALLENGE_PARAMS_MAX);
                if (digest_read(&c, &digest))
                        REQUIRE(digest.hash != NULL);
        }
}

static void read_replies(const unsigned char *data, size_t len)
{
        int code = 0;

        REQUIRE(socks_out_method(data, len, &code) <= (int)len);
        REQUIRE(socks_out_login_reply(data, len, &code) <= (int)len);
        REQUIRE(socks_out_reply4(data, len, &code) <= (int)len);
        REQUIRE(socks_out_reply5(data, len, &code) <= (int)len);
        REQUIRE(socks_out_words(code) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        char *copy = fuzz_copy(data, len), *text = fuzz_string(data, len), *login;
        size_t before = strlen(text);

        read_challenges(copy, len);
        read_replies((const unsigned char *)copy, len);
        login = netrc_find(text, "proxy.example", NULL);
        if (login != NULL)
                REQUIRE(strchr(login, ':') != NULL);
        free(login);
        if (upstream_url_hide(text))
                REQUIRE(strlen(text) <= before && strchr(text, '*') != NULL);
        free(text);
        free(copy);
        return 0;
}
