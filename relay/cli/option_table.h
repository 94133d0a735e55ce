/* The table behind the options, for those who read one of their sources (options.c, config.c) or
 * list them (completion.c). */
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

/* The closed vocabulary of an option. */
struct option_words {
        const char *option;
        const char *const *words; /* NULL at the end; the default comes first */
        size_t offset;            /* in struct options: the enum that gets the word's index */
};

/* NULL if any value will do. */
const struct option_words *option_words(const struct option_def *def);

/* What --help shows for the argument: "FILE", "never|auto|always", "" for a flag. */
void option_argument(const struct option_def *def, char *out, size_t cap);

bool option_is_set(const struct options *o, const struct option_def *def);
/* Copies value; from says where it comes from. Returns 0 or -1 when out of memory. */
int option_set(struct options *o, const struct option_def *def, const char *value,
               const char *from);

#endif
