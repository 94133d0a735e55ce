/* tapline --complete: what the completions of bash, zsh and fish ask, so that no shell has a list
 * of options of its own. See commands.h. */
#include "cli/commands.h"
#include "cli/option_table.h"
#include "explain/findings.h"
#include "record/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The command line up to where it is completed. */
struct line {
        char **words; /* borrowed; the subcommand is the first */
        int count;
        const struct command *command;
        const struct option_def *waiting; /* the option whose value the last word is */
        int operand;                      /* index of the first operand; the last word's if none */
        bool dashes;                      /* "--" has ended the options */
};

static void offer(const char *current, const char *before, const char *word, const char *meaning)
{
        char whole[160];

        snprintf(whole, sizeof whole, "%s%s", before, word);
        if (strncmp(whole, current, strlen(current)) == 0)
                printf("%s\t%s\n", whole, meaning);
}

static void offer_value(const struct option_def *def, const char *current, const char *before)
{
        const struct option_words *closed = option_words(def);

        for (size_t i = 0; closed != NULL && closed->words[i] != NULL; i++)
                offer(current, before, closed->words[i], "");
        if (strcmp(def->name, "event") == 0)
                for (int kind = 0; kind < EVENT_KIND_COUNT; kind++)
                        offer(current, before, event_kind_name(kind), "");
        if (strcmp(def->argument, "FILE") == 0 || strcmp(def->argument, "PATH") == 0)
                puts(":files");
}

/* The length of the help's first clause; all of it is in --help. */
static int clause_len(const char *help)
{
        const char *end = help;

        while (*end != '\0' && *end != ';' && strncmp(end, ": ", 2) != 0 &&
               strncmp(end, " (", 2) != 0)
                end++;
        return (int)(end - help);
}

static void offer_option(const struct option_def *def, const char *current)
{
        char word[64], meaning[120];

        snprintf(meaning, sizeof meaning, "%.*s", clause_len(def->help), def->help);
        snprintf(word, sizeof word, "--%s", def->name);
        offer(current, "", word, meaning);
        if (def->optional_value != NULL) {
                snprintf(word, sizeof word, "--%s=", def->name);
                offer(current, "", word, meaning);
        }
}

static const struct option_def *find(unsigned options, const char *name, size_t len)
{
        for (const struct option_def *def = option_table; def->name != NULL; def++)
                if ((def->commands & options) != 0 && strlen(def->name) == len &&
                    strncmp(def->name, name, len) == 0)
                        return def;
        return NULL;
}

/* The option that takes the word after this one as its value, or NULL. */
static const struct option_def *takes_next(unsigned options, const char *word)
{
        const struct option_def *found = NULL;

        if (strncmp(word, "--", 2) == 0)
                found = find(options, word + 2, strlen(word + 2));
        for (const struct option_def *def = option_table; def->name != NULL; def++)
                if ((def->commands & options) != 0 && def->short_name != 0 && word[0] == '-' &&
                    word[1] == def->short_name && word[2] == '\0')
                        found = def;
        return found != NULL && found->argument != NULL && found->optional_value == NULL ? found
                                                                                         : NULL;
}

/* Find what the words before the last one say of it. */
static void look(struct line *line)
{
        int i = 1, last = line->count - 1;

        while (i < last && !line->dashes && line->words[i][0] == '-') {
                const struct option_def *def = takes_next(line->command->options, line->words[i]);

                line->dashes = strcmp(line->words[i], "--") == 0;
                line->waiting = i + 1 == last ? def : NULL;
                i += def != NULL ? 2 : 1;
        }
        line->operand = i;
}

static void complete_operand(const struct line *line, const char *current)
{
        switch (line->command->operand) {
        case OPERAND_COMMAND:
                printf(":command %d\n", line->operand);
                break;
        case OPERAND_FILE:
                puts(":files");
                break;
        case OPERAND_FINDING:
                for (int code = 0; code < FINDING_CODE_COUNT; code++)
                        offer(current, "", finding_kinds[code].code, finding_kinds[code].sentence);
                break;
        case OPERAND_NONE:
                break;
        }
}

static void complete_option(const struct line *line, const char *current)
{
        const char *equals = strchr(current, '=');
        const struct option_def *def = equals != NULL ? find(line->command->options, current + 2,
                                                             (size_t)(equals - current - 2))
                                                      : NULL;
        char before[64];

        if (def != NULL && def->argument != NULL) {
                snprintf(before, sizeof before, "--%s=", def->name);
                offer_value(def, current, before);
        }
        for (def = option_table; equals == NULL && def->name != NULL; def++)
                if ((def->commands & line->command->options) != 0)
                        offer_option(def, current);
}

int command_complete(int argc, char **argv)
{
        struct line line = {.words = argv + 1, .count = argc - 1};
        const char *current = argc > 1 ? argv[argc - 1] : "";

        for (const struct command *c = command_table; c->name != NULL; c++)
                if (line.count < 2)
                        offer(current, "", c->name, c->help);
                else if (strcmp(argv[1], c->name) == 0)
                        line.command = c;
        if (line.command == NULL)
                return EXIT_SUCCESS;
        look(&line);
        if (line.waiting != NULL)
                offer_value(line.waiting, current, "");
        else if (line.operand == line.count - 1 && current[0] == '-' && !line.dashes)
                complete_option(&line, current);
        else
                complete_operand(&line, current);
        return EXIT_SUCCESS;
}
