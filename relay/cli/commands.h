/* The subcommands: one table, one function and one file each. argv[0] is the subcommand's name.
 * Each returns the exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

enum {
        EXIT_OWN_FAILURE = 125, /* tapline run itself failed, as env(1) and timeout(1) have it */
        EXIT_NOT_EXECUTABLE = 126,
        EXIT_NOT_FOUND = 127,
        EXIT_USAGE = 2, /* bad input to the other subcommands */
};

enum operand { OPERAND_NONE, OPERAND_COMMAND, OPERAND_FILE, OPERAND_FINDING };

struct command {
        const char *name;
        int (*run)(int argc, char **argv);
        unsigned options; /* FOR_RUN and so on (options.h): whose options it takes */
        enum operand operand;
        const char *help;
};

extern const struct command command_table[]; /* ends with name NULL */

/* `tapline --complete WORD...`, which the completions of shells call (contrib/completions): what
 * the last word, which may be empty, could become. Prints a candidate, a tab and its meaning on
 * each line; or ":files", or ":command N", where the shell knows better: any file, or what the
 * words from the Nth on, a command of their own, could become. */
int command_complete(int argc, char **argv);

int command_run(int argc, char **argv);
int command_relay(int argc, char **argv);
int command_report(int argc, char **argv);
int command_check(int argc, char **argv);
int command_tail(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_config(int argc, char **argv);

#endif
