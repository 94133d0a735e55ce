/* tapline: chooses the subcommand. */
#include "cli/commands.h"
#include "tapline_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void usage(FILE *out)
{
        fputs("usage: tapline COMMAND [options]\n\n", out);
        for (const struct command *c = command_table; c->name != NULL; c++)
                fprintf(out, "  %-8s %s\n", c->name, c->help);
        fputs("\ntapline COMMAND --help tells more; man tapline has it all.\n\n"
              "  tapline run -- poetry install           # the usual way\n"
              "  tapline relay --listen 127.0.0.1:8083   # then: curl --proxy "
              "http://127.0.0.1:8083 URL\n",
              out);
}

int main(int argc, char **argv)
{
        if (argc < 2) {
                usage(stderr);
                return EXIT_OWN_FAILURE;
        }
        for (const struct command *c = command_table; c->name != NULL; c++)
                if (strcmp(argv[1], c->name) == 0)
                        return c->run(argc - 1, argv + 1);
        if (strcmp(argv[1], "--complete") == 0)
                return command_complete(argc - 1, argv + 1);
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
            strcmp(argv[1], "help") == 0) {
                usage(stdout);
                return EXIT_SUCCESS;
        }
        if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
                puts("tapline " TAPLINE_VERSION);
                return EXIT_SUCCESS;
        }
        fprintf(stderr, "tapline: unknown command '%s'; see tapline --help\n", argv[1]);
        return EXIT_OWN_FAILURE;
}
