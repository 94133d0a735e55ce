/* The table of findings, and how they are settled: see findings.h. */
#include "explain/findings.h"

#include <errno.h>
#include <stdlib.h>

#define BIT(name) FINDING_BIT(FINDING_##name)

#define NETWORK                                                                                    \
        (BIT(NAME_NOT_FOUND) | BIT(PROXY_UNREACHABLE) | BIT(PROXY_AUTH_REQUIRED) |                 \
         BIT(PROXY_AUTH_REJECTED) | BIT(PROXY_REFUSED_TUNNEL) | BIT(CONNECTION_REFUSED) |          \
         BIT(CONNECTION_TIMED_OUT) | BIT(HOST_UNREACHABLE) | BIT(ORIGIN_UNTRUSTED) |               \
         BIT(CLIENT_DISTRUSTS_TAPLINE))
#define WRITES                                                                                     \
        (BIT(READ_ONLY_FILESYSTEM) | BIT(DISK_FULL) | BIT(INODES_EXHAUSTED) |                      \
         BIT(CACHE_OWNED_BY_OTHER_USER) | BIT(CACHE_NOT_WRITABLE))
#define FILES (WRITES | BIT(PATH_COMPONENT_NOT_A_DIRECTORY) | BIT(CACHE_NOT_READABLE))

const uint32_t finding_network_bits = NETWORK;

/* clang-format off */
const struct finding_kind finding_kinds[FINDING_CODE_COUNT] = {
        [FINDING_PATH_COMPONENT_NOT_A_DIRECTORY] = {"path-component-not-a-directory", SEVERITY_ERROR, 0,
                "A file stands where a directory must be."},
        [FINDING_CACHE_NOT_READABLE] = {"cache-not-readable", SEVERITY_ERROR, 0, NULL},
        [FINDING_NAME_NOT_FOUND] = {"name-not-found", SEVERITY_ERROR, 0,
                "Check the name in the project's sources, and this machine's name servers "
                "(/etc/resolv.conf). If names outside are resolved by a proxy only, give it: "
                "tapline run --upstream http://PROXY:PORT -- COMMAND."},
        [FINDING_PROXY_UNREACHABLE] = {"proxy-unreachable", SEVERITY_ERROR, 0,
                "Check the proxy's name and port, and that the network it stands in is reachable "
                "(VPN)."},
        [FINDING_PROXY_AUTH_REQUIRED] = {"proxy-auth-required", SEVERITY_ERROR, 0,
                "Put your user name and password for the proxy in place of USER:PASSWORD; "
                "characters such as @ : / are written %40 %3A %2F."},
        [FINDING_PROXY_AUTH_REJECTED] = {"proxy-auth-rejected", SEVERITY_ERROR, 0,
                "The user name or password is wrong or has expired. Put the right ones in place "
                "of USER:PASSWORD; characters such as @ : / are written %40 %3A %2F."},
        [FINDING_PROXY_REFUSED_TUNNEL] = {"proxy-refused-tunnel", SEVERITY_ERROR, 0,
                "Ask who runs the proxy to allow the host; or, if it can be reached without the "
                "proxy, add it to no_proxy."},
        [FINDING_CONNECTION_REFUSED] = {"connection-refused", SEVERITY_ERROR, 0,
                "Nothing listens there, or a firewall says so. Check host and port in the "
                "project's sources; behind a company's firewall, a proxy may be needed: "
                "tapline run --upstream http://PROXY:PORT -- COMMAND."},
        [FINDING_CONNECTION_TIMED_OUT] = {"connection-timed-out", SEVERITY_ERROR, 0,
                "Nothing answers: a firewall may drop the packets, or the host is down. Behind a "
                "company's firewall, a proxy may be needed: "
                "tapline run --upstream http://PROXY:PORT -- COMMAND."},
        [FINDING_HOST_UNREACHABLE] = {"host-unreachable", SEVERITY_ERROR, 0,
                "This machine has no way to the host: check the network connection, the VPN and "
                "the routes (ip route)."},
        [FINDING_ORIGIN_UNTRUSTED] = {"origin-untrusted", SEVERITY_ERROR, 0,
                "If a company's proxy or a private index signs with its own CA, trust it: "
                "export SSL_CERT_FILE=/path/to/bundle.pem, and for Python's requests and Node "
                "REQUESTS_CA_BUNDLE and NODE_EXTRA_CA_CERTS. "
                "Do not turn verification off."},
        [FINDING_CLIENT_DISTRUSTS_TAPLINE] = {"client-distrusts-tapline", SEVERITY_ERROR, 0,
                "The program has its own list of CAs, or pins a certificate. It works without "
                "inspection; the record then holds its connections but not its requests."},
        [FINDING_READ_ONLY_FILESYSTEM] = {"read-only-filesystem", SEVERITY_ERROR, 0, NULL},
        [FINDING_DISK_FULL] = {"disk-full", SEVERITY_ERROR, 0, NULL},
        [FINDING_INODES_EXHAUSTED] = {"inodes-exhausted", SEVERITY_ERROR, 0, NULL},
        [FINDING_CACHE_OWNED_BY_OTHER_USER] = {"cache-owned-by-other-user", SEVERITY_ERROR, 0, NULL},
        [FINDING_CACHE_NOT_WRITABLE] = {"cache-not-writable", SEVERITY_ERROR, 0, NULL},
        [FINDING_CLIENT_GAVE_UP] = {"client-gave-up-after-success", SEVERITY_ERROR, NETWORK | FILES,
                "The network did its part, so the reason is inside the program: run it again with "
                "its most detailed output (for Poetry: -vvv)."},
        [FINDING_PROCESS_NOT_COVERED] = {"process-not-covered", SEVERITY_NOTE, 0,
                "tapline has not seen the connections and file calls of these programs."},
};
/* clang-format on */

struct draft *findings_add(struct findings *findings, enum finding_code code, const json_t *first)
{
        struct draft *grown = reallocarray(findings->drafts, findings->count + 1, sizeof *grown);

        if (grown == NULL) {
                findings->oom = true;
                return NULL;
        }
        findings->drafts = grown;
        grown += findings->count++;
        *grown = (struct draft){
                .code = code,
                .severity = finding_kinds[code].severity,
                .time_us = event_get_time_us(first),
        };
        return grown;
}

static void draft_fini(struct draft *d)
{
        free(d->summary);
        free(d->advice);
        text_list_fini(&d->evidence);
        text_list_fini(&d->commands);
}

bool findings_has_error(const struct findings *findings, uint32_t codes)
{
        for (size_t i = 0; i < findings->count; i++)
                if (findings->drafts[i].severity == SEVERITY_ERROR &&
                    (FINDING_BIT(findings->drafts[i].code) & codes) != 0)
                        return true;
        return false;
}

static int by_order(const void *a, const void *b)
{
        const struct draft *x = a, *y = b;

        if (x->severity != y->severity)
                return x->severity > y->severity ? -1 : 1;
        if (x->code != y->code)
                return x->code < y->code ? -1 : 1;
        return (x->time_us > y->time_us) - (x->time_us < y->time_us);
}

/* Takes what the draft owns. Returns -ENOMEM if one of its texts could not be made. */
static int settle_one(struct draft *d, struct finding *out)
{
        const char *advice = finding_kinds[d->code].advice;

        if (d->advice == NULL && advice != NULL)
                d->advice = text_format("%s", advice);
        *out = (struct finding){
                .code = finding_kinds[d->code].code,
                .severity = d->severity,
                .summary = d->summary,
                .evidence = d->evidence.items,
                .evidence_count = d->evidence.count,
                .commands = d->commands.items,
                .command_count = d->commands.count,
                .advice = d->advice,
        };
        return d->summary == NULL || d->evidence.oom || d->commands.oom ? -ENOMEM : 0;
}

int findings_settle(struct findings *findings, struct explanation *out)
{
        int result = findings->oom ? -ENOMEM : 0;

        out->findings = calloc(findings->count + 1, sizeof *out->findings);
        if (out->findings == NULL)
                result = -ENOMEM;
        if (findings->count > 1)
                qsort(findings->drafts, findings->count, sizeof *findings->drafts, by_order);
        for (size_t i = 0; i < findings->count; i++) {
                struct draft *d = &findings->drafts[i];

                if (result < 0 || findings_has_error(findings, finding_kinds[d->code].explained_by))
                        draft_fini(d);
                else
                        result = settle_one(d, &out->findings[out->finding_count++]);
        }
        free(findings->drafts);
        *findings = (struct findings){0};
        return result;
}
