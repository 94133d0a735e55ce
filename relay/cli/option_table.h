/* The table behind the options, for those who read one of their sources (options.c, config.c). */
#ifndef CLI_OPTION_TABLE_H
#define CLI_OPTION_TABLE_H

#include "cli/options.h"

enum option_type { OPTION_STRING, OPTION_FLAG, OPTION_LIST };

struct option_def {
        const char *name;
        char short_name;
        const char *argument;       /* as --help shows it; NULL for a flag */
        const char *optional_value; /* not NULL: the value when none is given */
        unsigned commands;
        enum option_type type;
        size_t offset; /* in struct options */
        bool inside;   /* its variable counts inside another tapline run too */
        const char *help;
};

extern const struct option_def option_table[]; /* ends with name NULL */

bool option_is_set(const struct options *o, const struct option_def *def);
/* Copies value; from says where it comes from. Returns 0 or -1 when out of memory. */
int option_set(struct options *o, const struct option_def *def, const char *value,
               const char *from);

#endif
