/* tapline config: what run and relay would be told, and where each thing was said. Secrets are
 * masked. */
#include "cli/commands.h"
#include "cli/option_table.h"
#include "record/mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOTH = FOR_RUN | FOR_RELAY };

static void usage(void)
{
        puts("usage: tapline config [options of run and relay]\n\n"
             "Prints every option that is set, as a key of the configuration file, and where it "
             "was "
             "said:\non this command line, in the environment, or in a line of a file. What is not "
             "printed has\nits default (see tapline run --help).\n\n"
             "      --help  show this\n\n"
             "exit status: 0, or 2 when something that was said is wrong.");
}

/* A key of the file: no_proxy for no-proxy. */
static void print_key(const char *name)
{
        for (; *name != '\0'; name++)
                putchar(*name == '-' ? '_' : *name);
}

/* A string of libconfig's. */
static void print_string(const char *value)
{
        char masked[4096];

        mask_url(value, strlen(value), masked, sizeof masked);
        putchar('"');
        for (const char *c = masked; *c != '\0'; c++) {
                if (*c == '"' || *c == '\\')
                        putchar('\\');
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        printf("\\x%02x", (unsigned char)*c);
                else
                        putchar(*c);
        }
        putchar('"');
}

static void print_list(char *const *list)
{
        putchar('[');
        for (size_t i = 0; list[i] != NULL; i++) {
                fputs(i > 0 ? ", " : "", stdout);
                print_string(list[i]);
        }
        putchar(']');
}

static void print_option(const struct options *o, const struct option_def *def)
{
        const char *at = (const char *)o + def->offset, *value;

        print_key(def->name);
        fputs(" = ", stdout);
        switch (def->type) {
        case OPTION_FLAG:
                fputs(*(const bool *)(const void *)at ? "true" : "false", stdout);
                break;
        case OPTION_LIST:
                print_list(*(char *const *const *)(const void *)at);
                break;
        case OPTION_STRING:
                value = *(const char *const *)(const void *)at;
                print_string(value);
                break;
        }
        printf(";  # %s\n", options_from(o, def->name));
}

int command_config(int argc, char **argv)
{
        struct options o;
        int next = 0, status = EXIT_USAGE;

        if (options_read(&o, BOTH, argc, argv, &next) < 0) {
                /* said already */
        } else if (o.help) {
                usage();
                status = EXIT_SUCCESS;
        } else if (next < argc) {
                fprintf(stderr,
                        "tapline config: %s: it takes no operands; see tapline config "
                        "--help\n",
                        argv[next]);
        } else {
                for (const struct option_def *def = option_table; def->name != NULL; def++)
                        if ((def->commands & BOTH) != 0 && option_is_set(&o, def))
                                print_option(&o, def);
                status = EXIT_SUCCESS;
        }
        options_free(&o);
        return status;
}
