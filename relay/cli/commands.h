/* The subcommands: one function and one file each; main.c has the table. argv[0] is the
 * subcommand's name. Each returns the exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

enum {
        EXIT_OWN_FAILURE = 125, /* tapline run itself failed, as env(1) and timeout(1) have it */
        EXIT_NOT_EXECUTABLE = 126,
        EXIT_NOT_FOUND = 127,
        EXIT_USAGE = 2, /* bad input to the other subcommands */
};

int command_run(int argc, char **argv);
int command_relay(int argc, char **argv);
int command_report(int argc, char **argv);
int command_check(int argc, char **argv);
int command_tail(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_config(int argc, char **argv);

#endif
