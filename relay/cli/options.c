/* The table of options and what follows from it; see options.h. */
#include "cli/options.h"
#include "cli/config.h"
#include "cli/option_table.h"
#include "net/upstream_url.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *field(struct options *o, const struct option_def *def)
{
        return (char *)o + def->offset;
}

bool option_is_set(const struct options *o, const struct option_def *def)
{
        const void *at = (const char *)o + def->offset;

        if (def->type == OPTION_FLAG)
                return *(const bool *)at;
        return *(char *const *)at != NULL;
}

static int add_to_list(char ***list, const char *value)
{
        size_t count = 0;
        char **more;

        while (*list != NULL && (*list)[count] != NULL)
                count++;
        more = realloc(*list, (count + 2) * sizeof *more);
        if (more == NULL)
                return -1;
        *list = more;
        more[count] = strdup(value);
        more[count + 1] = NULL;
        return more[count] != NULL ? 0 : -1;
}

static int set_value(struct options *o, const struct option_def *def, const char *value)
{
        char **text = field(o, def);

        switch (def->type) {
        case OPTION_FLAG:
                *(bool *)field(o, def) = true;
                return 0;
        case OPTION_LIST:
                return add_to_list(field(o, def), value);
        case OPTION_STRING:
                free(*text);
                *text = strdup(value);
                break;
        }
        return *text != NULL ? 0 : -1;
}

int option_set(struct options *o, const struct option_def *def, const char *value, const char *from)
{
        char **said = &o->from[def - option_table];

        free(*said);
        *said = strdup(from);
        if (*said != NULL && set_value(o, def, value) == 0)
                return 0;
        fputs("tapline: out of memory\n", stderr);
        return -1;
}

const char *options_from(const struct options *o, const char *name)
{
        for (const struct option_def *def = option_table; def->name != NULL; def++)
                if (strcmp(def->name, name) == 0 && o->from[def - option_table] != NULL)
                        return o->from[def - option_table];
        return name;
}

/* getopt(3)'s tables, from ours. "+": the command of run begins at the first operand. */
static void make_getopt(unsigned command, struct option *longs, char *shorts)
{
        *shorts++ = '+';
        *shorts++ = ':';
        for (const struct option_def *def = option_table; def->name != NULL; def++) {
                if ((def->commands & command) == 0)
                        continue;
                *longs++ = (struct option){def->name,
                                           def->argument == NULL         ? no_argument
                                           : def->optional_value != NULL ? optional_argument
                                                                         : required_argument,
                                           NULL, 256 + (int)(def - option_table)};
                if (def->short_name != 0)
                        *shorts++ = def->short_name;
                if (def->short_name != 0 && def->argument != NULL)
                        *shorts++ = ':';
        }
        *longs = (struct option){NULL, 0, NULL, 0};
        *shorts = '\0';
}

static const struct option_def *find_short(int c)
{
        for (const struct option_def *def = option_table; def->name != NULL; def++)
                if (def->short_name == c)
                        return def;
        return NULL;
}

static int bad_option(const char *command, int kind, char **argv)
{
        const char *shown = argv[optind - 1];

        if (kind == ':')
                fprintf(stderr, "tapline %s: option %s needs a value; see tapline %s --help\n",
                        command, shown, command);
        else if (optopt > 0 && optopt < 256)
                fprintf(stderr, "tapline %s: unknown option -%c; see tapline %s --help\n", command,
                        optopt, command);
        else if (optopt >= 256)
                fprintf(stderr, "tapline %s: option --%s takes no value; see tapline %s --help\n",
                        command, option_table[optopt - 256].name, command);
        else
                fprintf(stderr, "tapline %s: unknown option %s; see tapline %s --help\n", command,
                        shown, command);
        return -1;
}

static int read_command_line(struct options *o, unsigned command, int argc, char **argv, int *next)
{
        struct option longs[OPTIONS_MAX];
        char shorts[40], from[64];
        int c;

        make_getopt(command, longs, shorts);
        opterr = 0;
        optind = 0;
        while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
                const struct option_def *def = c >= 256 ? &option_table[c - 256] : find_short(c);

                if (c == '?' || c == ':' || def == NULL)
                        return bad_option(argv[0], c, argv);
                snprintf(from, sizeof from, "--%s", def->name);
                if (option_set(o, def,
                               optarg != NULL                ? optarg
                               : def->optional_value != NULL ? def->optional_value
                                                             : "",
                               from) < 0)
                        return -1;
                /* Every user can read the command line of every process. */
                if (optarg != NULL && (def->offset == offsetof(struct options, upstream) ||
                                       def->offset == offsetof(struct options, route)))
                        o->password_shown = upstream_url_hide(optarg) || o->password_shown;
        }
        *next = optind;
        return 0;
}

const char *options_via(const struct options *o)
{
        return o->via != NULL && strcmp(o->via, "off") == 0 ? "" : o->via;
}

/* TAPLINE_NO_PROXY for no-proxy. */
static void variable_name(const struct option_def *def, char *out, size_t cap)
{
        snprintf(out, cap, "TAPLINE_%s", def->name);
        for (char *p = out; *p != '\0'; p++)
                *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

static int read_environment(struct options *o, unsigned command)
{
        bool inside = getenv(OPTIONS_ENV_INSIDE) != NULL;
        char name[64];

        for (const struct option_def *def = option_table; def->name != NULL; def++) {
                const char *value;

                if ((def->commands & command) == 0 || option_is_set(o, def) ||
                    (def->commands & ONLY_TYPED) != 0 || (inside && !def->inside))
                        continue;
                variable_name(def, name, sizeof name);
                value = getenv(name);
                if (value == NULL || value[0] == '\0')
                        continue;
                if (def->type == OPTION_FLAG && strcmp(value, "0") == 0)
                        continue;
                if (option_set(o, def, value, name) < 0)
                        return -1;
        }
        return 0;
}

/* Set the index of each option's value among its words, the first if it has none. */
static int check_word(struct options *o, const struct option_def *def,
                      const struct option_words *closed)
{
        const char *value = *(char *const *)field(o, def);

        for (unsigned i = 0; closed->words[i] != NULL; i++)
                if (value == NULL || strcmp(value, closed->words[i]) == 0) {
                        *(unsigned *)((char *)o + closed->offset) = i;
                        return 0;
                }
        fprintf(stderr, "tapline: %s: '%s' is not one of %s", options_from(o, def->name), value,
                closed->words[0]);
        for (size_t i = 1; closed->words[i] != NULL; i++)
                fprintf(stderr, ", %s", closed->words[i]);
        fputc('\n', stderr);
        return -1;
}

static int check_words(struct options *o)
{
        for (const struct option_def *def = option_table; def->name != NULL; def++)
                if (option_words(def) != NULL && check_word(o, def, option_words(def)) < 0)
                        return -1;
        return 0;
}

/* A pseudonym is a token (RFC 9110 section 7.6.3): what else would end up in other people's fields?
 */
static int check_via(const struct options *o)
{
        const char *value = o->via != NULL ? o->via : "off";

        for (const char *p = value; *p != '\0'; p++)
                if (!isalnum((unsigned char)*p) && strchr("-._", *p) == NULL)
                        value = "";
        if (value[0] != '\0' && strlen(value) <= 64)
                return 0;
        fprintf(stderr,
                "tapline: %s: '%s' is not off or a name of letters, digits, - . and _, 64 at "
                "most\n",
                options_from(o, "via"), o->via);
        return -1;
}

static int check_drain(struct options *o)
{
        char *end;
        double seconds = o->drain != NULL ? strtod(o->drain, &end) : 2;

        if (o->drain != NULL &&
            (end == o->drain || *end != '\0' || !(seconds >= 0 && seconds <= 3600))) {
                fprintf(stderr, "tapline: %s: '%s' is not a number of seconds from 0 to 3600\n",
                        options_from(o, "drain"), o->drain);
                return -1;
        }
        o->drain_ms = (int)(seconds * 1000);
        return 0;
}

int options_read(struct options *o, unsigned command, int argc, char **argv, int *next)
{
        memset(o, 0, sizeof *o);
        if (read_command_line(o, command, argc, argv, next) < 0)
                return -1;
        if (o->help)
                return 0;
        if (read_environment(o, command) < 0 || tapline_config_read(o, command) < 0)
                return -1;
        return check_words(o) < 0 || check_drain(o) < 0 || check_via(o) < 0 ? -1 : 0;
}

/* Some hold passwords. */
static void free_list(char **list)
{
        for (size_t i = 0; list != NULL && list[i] != NULL; i++)
                wipe_free(list[i]);
        free(list);
}

void options_free(struct options *o)
{
        for (const struct option_def *def = option_table; def->name != NULL; def++)
                if (def->type == OPTION_STRING)
                        free(*(char **)field(o, def));
                else if (def->type == OPTION_LIST)
                        free_list(*(char ***)field(o, def));
        for (size_t i = 0; i < OPTIONS_MAX; i++)
                free(o->from[i]);
        memset(o, 0, sizeof *o);
}

/* One option's help, wrapped at 79 columns behind an indent of 24. */
static void print_help(const struct option_def *def)
{
        const char *text = def->help;
        char left[96], argument[64];
        int used;

        option_argument(def, argument, sizeof argument);
        used = snprintf(
                left, sizeof left, "  %s%c%s--%s%s%s%s%s", def->short_name != 0 ? "-" : "  ",
                def->short_name != 0 ? def->short_name : ' ', def->short_name != 0 ? ", " : " ",
                def->name, def->optional_value != NULL ? "[" : "", def->argument != NULL ? "=" : "",
                argument, def->optional_value != NULL ? "]" : "");
        printf("%s%*s", left, used < 28 ? 28 - used : 0, "");
        if (used >= 28)
                printf("\n%28s", "");
        while (strlen(text) > 51) {
                int len = 51;

                while (len > 0 && text[len] != ' ')
                        len--;
                printf("%.*s\n%28s", len, text, "");
                text += len + 1;
        }
        printf("%s\n", text);
}

void options_help(unsigned command)
{
        for (const struct option_def *def = option_table; def->name != NULL; def++)
                if ((def->commands & command) != 0)
                        print_help(def);
        if ((command & FOR_TAIL) != 0)
                return; /* its own options have neither */
        printf("\nEach option is also a key of the configuration file (with _ for -) and an "
               "environment\n"
               "variable (TAPLINE_UPSTREAM and so on). The command line beats the environment "
               "beats the file.\n");
}
