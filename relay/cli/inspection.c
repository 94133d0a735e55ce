/* Prepares inspection; see inspection.h. */
#include "cli/inspection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

static int complain(const char *what, const char *which, int error)
{
        fprintf(stderr, "tapline: cannot %s %s: %s\n", what, which, strerror(error));
        return -1;
}

/* A library that is set up to refuse what we need (a FIPS module, for one) says so by itself. */
static int complain_of_ca(void)
{
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        fprintf(stderr,
                "tapline: cannot make a certificate authority for this run: OpenSSL says: %s; "
                "--inspect=never does without\n",
                reason != NULL ? reason : "out of memory");
        return -1;
}

static int lend_certificates(struct inspector *inspector, const struct options *o)
{
        const char *problem;

        for (size_t i = 0; o->client_certs != NULL && o->client_certs[i] != NULL; i++) {
                if (client_certs_add(&inspector->client_certs, o->client_certs[i], &problem) == 0)
                        continue;
                fprintf(stderr, "tapline: %s: '%s': %s\n", options_from(o, "client-cert"),
                        o->client_certs[i], problem);
                return -1;
        }
        return 0;
}

/* Whoever writes keys down is told so, each time, also with --quiet. */
static int write_secrets(struct inspector *inspector, const struct options *o)
{
        int result = o->keylog != NULL ? inspector_set_keylog(inspector, o->keylog) : 0;

        if (result < 0)
                return complain("write the key log", o->keylog, -result);
        if (o->keylog != NULL)
                fprintf(stderr, "tapline: the keys of inspected connections are written to %s\n",
                        o->keylog);
        result = o->pcap != NULL ? inspector_set_pcap(inspector, o->pcap) : 0;
        if (result < 0)
                return complain("write the capture", o->pcap, -result);
        if (o->pcap != NULL)
                fprintf(stderr, "tapline: inspected connections and their keys are written to %s\n",
                        o->pcap);
        return 0;
}

static void note_idle_options(const struct options *o)
{
        if (o->keylog != NULL || o->pcap != NULL || o->client_certs != NULL)
                fputs("tapline: note: --keylog, --pcap and --client-cert do nothing without "
                      "--inspect\n",
                      stderr);
}

int inspection_start(struct inspection *in, const struct options *o, struct record *record)
{
        enum inspector_mode mode =
                o->inspect_mode == INSPECT_ALWAYS ? INSPECTOR_ALWAYS : INSPECTOR_AUTO;
        const char *problem = NULL;
        int result;

        if (o->inspect_mode == INSPECT_NEVER) {
                note_idle_options(o);
                return 0;
        }
        /* Where libcrypto could not set itself up, later calls of it end the process. */
        if (OSSL_LIB_CTX_get0_global_default() == NULL)
                return complain("prepare", "the cryptographic library", ENOMEM);
        result = trust_load(&in->trust, environ, &problem);
        if (result < 0)
                return complain("read", "the certificates that this system trusts", -result);
        if (problem != NULL)
                fprintf(stderr, "tapline: note: %s\n", problem);
        in->ca = ca_new();
        if (in->ca == NULL)
                return complain_of_ca();
        in->inspector = inspector_new(in->ca, in->trust, record, mode);
        if (in->inspector == NULL)
                return complain("prepare", "inspection", errno);
        return lend_certificates(in->inspector, o) < 0 ? -1 : write_secrets(in->inspector, o);
}

void inspection_free(struct inspection *in)
{
        inspector_free(in->inspector);
        ca_free(in->ca);
        trust_free(in->trust);
        memset(in, 0, sizeof *in);
}

/* Written beside and renamed into place: a client that reads it sees the old one or the new one. */
int inspection_write_ca(const struct inspection *in, const struct options *o)
{
        char beside[4096];
        FILE *file;
        int fd, ok;

        if (o->ca_out == NULL || in->ca == NULL)
                return 0;
        if (snprintf(beside, sizeof beside, "%s.XXXXXX", o->ca_out) >= (int)sizeof beside)
                return complain("write", o->ca_out, ENAMETOOLONG);
        fd = mkstemp(beside);
        file = fd >= 0 ? fdopen(fd, "w") : NULL;
        if (file == NULL) {
                int error = errno;

                if (fd >= 0) {
                        close(fd);
                        unlink(beside);
                }
                return complain("write", o->ca_out, error);
        }
        errno = 0;
        ok = PEM_write_X509(file, ca_certificate(in->ca)) == 1;
        ok = fchmod(fd, 0644) == 0 && ok;
        ok = fclose(file) == 0 && ok;
        if (ok && rename(beside, o->ca_out) == 0)
                return 0;
        ok = errno != 0 ? errno : EIO;
        unlink(beside);
        return complain("write", o->ca_out, ok);
}
