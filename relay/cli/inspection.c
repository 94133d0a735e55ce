/* Prepares inspection; see inspection.h. */
#include "cli/inspection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

static int complain(const char *what, const char *which, int error)
{
        fprintf(stderr, "tapline: cannot %s %s: %s\n", what, which, strerror(error));
        return -1;
}

int inspection_start(struct inspection *in, const struct options *o, struct record *record)
{
        enum inspector_mode mode =
                o->inspect_mode == INSPECT_ALWAYS ? INSPECTOR_ALWAYS : INSPECTOR_AUTO;
        const char *problem = NULL;
        int result;

        if (o->inspect_mode == INSPECT_NEVER)
                return 0;
        result = trust_load(&in->trust, environ, &problem);
        if (result < 0)
                return complain("read", "the certificates that this system trusts", -result);
        if (problem != NULL)
                fprintf(stderr, "tapline: note: %s\n", problem);
        in->ca = ca_new();
        if (in->ca == NULL)
                return complain("make", "a certificate authority for this run", errno);
        in->inspector = inspector_new(in->ca, in->trust, record, mode);
        return in->inspector != NULL ? 0 : complain("prepare", "inspection", errno);
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
