/* See records.h. */
#include "cli/records.h"
#include "cli/output.h"
#include "cli/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int records_read(const char *path, struct record_events *events)
{
        int result = record_read(path, events);

        if (result == -EINVAL)
                fprintf(stderr, "tapline: %s is not a record of tapline\n", path);
        else if (result == -ENODATA)
                fprintf(stderr, "tapline: the record %s is empty\n", path);
        else if (result < 0)
                fprintf(stderr, "tapline: cannot read the record %s: %s\n", path,
                        strerror(-result));
        return result;
}

struct catalogue *records_catalogue(void)
{
        char *path = path_catalogue(), *user = path_config("catalogue.conf"), *error = NULL;
        struct catalogue *catalogue = NULL;

        if (path == NULL || catalogue_load(&catalogue, path, user, &error) < 0)
                fprintf(stderr, "tapline: %s; package managers are not recognised\n",
                        error != NULL ? error : "no catalogue.conf");
        free(path);
        free(user);
        free(error);
        return catalogue;
}

FILE *records_output(const struct options *o)
{
        return o->output != NULL ? output_open(o->output) : stdout;
}

int records_finish(FILE *out, const struct options *o, int result)
{
        if (out != NULL && fflush(out) != 0 && result == 0)
                result = -errno;
        if (out != NULL && out != stdout && fclose(out) != 0 && result == 0)
                result = -errno;
        if (result < 0)
                fprintf(stderr, "tapline: cannot write the report%s%s: %s\n",
                        o->output != NULL ? " " : "", o->output != NULL ? o->output : "",
                        strerror(-result));
        return result;
}
