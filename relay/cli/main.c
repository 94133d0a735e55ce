/* tapline: chooses the subcommand. */
#include "cli/commands.h"
#include "tapline_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
        const char *help;
} commands[] = {
        {"run", command_run, "run a command and say why it failed"},
        {"relay", command_relay,
         "serve as a relay for preloaded programs and for any HTTP proxy client"},
        {"check", command_check, "look whether a command would work, before it is run"},
        {"report", command_report, "explain a record again"},
        {"tail", command_tail, "follow a record that is being written"},
        {"explain", command_explain, "tell what a finding means"},
        {"config", command_config, "print the options that are set, and where each was said"},
};

static void usage(FILE *out)
{
        fputs("usage: tapline COMMAND [options]\n\n", out);
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
                fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
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
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
                if (strcmp(argv[1], commands[i].name) == 0)
                        return commands[i].run(argc - 1, argv + 1);
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
