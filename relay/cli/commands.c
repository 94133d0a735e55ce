/* The table of subcommands; see commands.h. */
#include "cli/commands.h"
#include "cli/options.h"

#include <stddef.h>

const struct command command_table[] = {
        {"run", command_run, FOR_RUN, OPERAND_COMMAND, "run a command and say why it failed"},
        {"relay", command_relay, FOR_RELAY, OPERAND_NONE,
         "serve as a relay for preloaded programs and for any HTTP proxy client"},
        {"check", command_check, FOR_CHECK, OPERAND_COMMAND,
         "look whether a command would work, before it is run"},
        {"report", command_report, FOR_REPORT, OPERAND_FILE, "explain a record again"},
        {"tail", command_tail, FOR_TAIL, OPERAND_FILE, "follow a record that is being written"},
        {"diff", command_diff, FOR_DIFF, OPERAND_FILE, "tell in what two runs differ"},
        {"explain", command_explain, 0, OPERAND_FINDING, "tell what a finding means"},
        {"config", command_config, FOR_RUN | FOR_RELAY, OPERAND_NONE,
         "print the options that are set, and where each was said"},
        {NULL, NULL, 0, OPERAND_NONE, NULL},
};
