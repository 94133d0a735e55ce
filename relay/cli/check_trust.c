/* Certificates: the system's bundle, and the files that the variables of clients name. */
#include "cli/check.h"
#include "inspect/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a client keeps to a file or directory of certificates; clients differ in what they read. */
static const struct {
        const char *name, *who;
} variables[] = {
        {"SSL_CERT_FILE", "Python, curl, cargo, Go, Ruby, uv"},
        {"SSL_CERT_DIR", "Python, curl, cargo, Go, Ruby"},
        {"REQUESTS_CA_BUNDLE", "pip, Poetry, PDM, conda"},
        {"CURL_CA_BUNDLE", "curl, pip, Poetry"},
        {"PIP_CERT", "pip"},
        {"NODE_EXTRA_CA_CERTS", "Node, npm, Yarn, pnpm, Bun"},
        {"npm_config_cafile", "npm"},
        {"YARN_HTTPS_CA_FILE_PATH", "Yarn"},
        {"GIT_SSL_CAINFO", "git"},
        {"CARGO_HTTP_CAINFO", "cargo"},
        {"DENO_CERT", "Deno"},
        {"COMPOSER_CAFILE", "Composer"},
        {"BUNDLE_SSL_CA_CERT", "Bundler"},
        {"NIX_SSL_CERT_FILE", "Nix"},
};

static const char *problem_of(int error)
{
        return error == ENODATA ? "holds no certificate" : strerror(error);
}

static void check_variable(struct check *check, const char *name, const char *who)
{
        const char *value = getenv(name);
        struct bundle bundle = {0};
        struct check_item *item;
        int result;

        if (value == NULL || *value == '\0')
                return;
        result = bundle_add(&bundle, value);
        bundle_fini(&bundle);
        if (result == 0) {
                check_add(check, "trust", CHECK_OK, "%s: %s", name, value);
                return;
        }
        item = check_add(check, "trust", CHECK_PROBLEM,
                         "%s leads to %s: %s; no certificate will be trusted by what reads it "
                         "(%s).",
                         name, value, problem_of(-result), who);
        if (item != NULL)
                text_add(&item->commands, "unset %s", name);
        check_advise(item, "Let it name a bundle that exists, or take it away.");
}

void check_trust(struct check *check)
{
        struct bundle bundle = {0};

        if (bundle_add_system(&bundle) == 0)
                check_add(check, "trust", CHECK_OK, "the system has a bundle of certificates");
        else
                check_advise(check_add(check, "trust", CHECK_PROBLEM,
                                       "This system has no bundle of certificates: curl, git and "
                                       "others trust nobody."),
                             "Install the package ca-certificates.");
        bundle_fini(&bundle);
        for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
                check_variable(check, variables[i].name, variables[i].who);
}
