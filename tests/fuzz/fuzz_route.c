/* net/route.c: upstream URLs and lists of hosts, as users and environments have them. */
#include "fuzz.h"

#include "net/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        char *text = fuzz_string(data, len), *bad = NULL;
        struct upstream *up = NULL;
        const char *why = NULL;
        struct host_list *list;

        if (upstream_parse(text, &up, &why) == 0)
                upstream_free(up);
        else
                REQUIRE(why != NULL);
        list = host_list_parse(text, &bad);
        if (list != NULL) {
                host_list_match(list, "files.index.example", "192.0.2.1", 443);
                host_list_match(list, NULL, "2001:db8::1", 80);
                host_list_match(list, text, NULL, 1);
        }
        host_list_free(list);
        free(bad);
        free(text);
        return 0;
}
