/* The configuration file; see config.h. */
#include "cli/config.h"
#include "cli/option_table.h"
#include "cli/paths.h"
#include "net/upstream.h"

#include <errno.h>
#include <libconfig.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* upstream and no_proxy: the option's name with underscores. */
static const struct option_def *find(const char *key)
{
        for (const struct option_def *def = option_table; def->name != NULL; def++) {
                size_t i = 0;

                while (def->name[i] != '\0' &&
                       (def->name[i] == key[i] || (def->name[i] == '-' && key[i] == '_')))
                        i++;
                if (def->name[i] == '\0' && key[i] == '\0' && strcmp(key, "config") != 0 &&
                    (def->commands & ONLY_TYPED) == 0)
                        return def;
        }
        return NULL;
}

static int complain(const char *file, const config_setting_t *setting, const char *problem)
{
        fprintf(stderr, "tapline: %s:%u: %s: %s\n", file, config_setting_source_line(setting),
                config_setting_name(setting), problem);
        return -1;
}

/* { match = "LIST"; upstream = "URL"; }: what the option says as LIST=URL. */
static int set_route(struct options *o, const struct option_def *def, const config_setting_t *item,
                     const char *file, const char *from)
{
        const char *match, *upstream;
        char *text;
        int result;

        if (!config_setting_lookup_string(item, "match", &match) ||
            !config_setting_lookup_string(item, "upstream", &upstream) ||
            config_setting_length(item) != 2) {
                fprintf(stderr,
                        "tapline: %s:%u: route: each must be { match = \"LIST\"; upstream = "
                        "\"URL\"; }\n",
                        file, config_setting_source_line(item));
                return -1;
        }
        if (asprintf(&text, "%s=%s", match, upstream) < 0)
                return -1;
        result = option_set(o, def, text, from);
        wipe_free(text);
        return result;
}

static int set_list(struct options *o, const struct option_def *def,
                    const config_setting_t *setting, const char *file, const char *from)
{
        if (config_setting_type(setting) == CONFIG_TYPE_STRING)
                return option_set(o, def, config_setting_get_string(setting), from);
        if (!config_setting_is_array(setting) && !config_setting_is_list(setting))
                return complain(file, setting, "must be a string or a list of strings");
        for (int i = 0; i < config_setting_length(setting); i++) {
                const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
                const char *value = config_setting_get_string_elem(setting, i);

                if (config_setting_is_group(item) && strcmp(def->name, "route") == 0) {
                        if (set_route(o, def, item, file, from) < 0)
                                return -1;
                        continue;
                }
                if (value == NULL)
                        return complain(file, setting, "must be a list of strings");
                if (option_set(o, def, value, from) < 0)
                        return -1;
        }
        return 0;
}

static bool is_number(const struct option_def *def)
{
        return def->argument != NULL &&
               (strcmp(def->argument, "SECONDS") == 0 || strcmp(def->argument, "NUMBER") == 0);
}

static int set_string(struct options *o, const struct option_def *def,
                      const config_setting_t *setting, const char *file, const char *from)
{
        char number[32];

        switch (config_setting_type(setting)) {
        case CONFIG_TYPE_STRING:
                return option_set(o, def, config_setting_get_string(setting), from);
        case CONFIG_TYPE_INT:
                if (!is_number(def))
                        break;
                snprintf(number, sizeof number, "%d", config_setting_get_int(setting));
                return option_set(o, def, number, from);
        case CONFIG_TYPE_FLOAT:
                if (!is_number(def))
                        break;
                snprintf(number, sizeof number, "%g", config_setting_get_float(setting));
                return option_set(o, def, number, from);
        default:
                break;
        }
        return complain(file, setting, is_number(def) ? "must be a number" : "must be a string");
}

static int set_option(struct options *o, const struct option_def *def,
                      const config_setting_t *setting, const char *file, const char *from)
{
        switch (def->type) {
        case OPTION_FLAG:
                if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
                        return complain(file, setting, "must be true or false");
                return config_setting_get_bool(setting) ? option_set(o, def, "", from) : 0;
        case OPTION_LIST:
                return set_list(o, def, setting, file, from);
        case OPTION_STRING:
                return set_string(o, def, setting, file, from);
        }
        return -1;
}

/* A key of another command is checked all the same: one file serves all commands. */
static int apply_from(struct options *o, const struct option_def *def,
                      const config_setting_t *setting, const char *file)
{
        char from[PATH_MAX + 64];

        snprintf(from, sizeof from, "%s:%u: %s", file, config_setting_source_line(setting),
                 config_setting_name(setting));
        return set_option(o, def, setting, file, from);
}

static int apply(struct options *o, unsigned command, const config_setting_t *setting,
                 const char *file)
{
        const struct option_def *def = find(config_setting_name(setting));
        struct options unused = {.record = NULL};
        int result;

        if (def == NULL)
                return complain(
                        file, setting,
                        "no such key; tapline run --help and tapline relay --help list them");
        if ((def->commands & command) != 0 && !option_is_set(o, def))
                return apply_from(o, def, setting, file);
        result = apply_from(&unused, def, setting, file);
        options_free(&unused);
        return result;
}

static int read_file(struct options *o, unsigned command, const char *file, FILE *in)
{
        config_t config;
        const config_setting_t *root;
        int result = 0;

        config_init(&config);
        if (config_read(&config, in) == CONFIG_FALSE) {
                fprintf(stderr, "tapline: %s:%d: %s\n", file, config_error_line(&config),
                        config_error_text(&config));
                result = -1;
        }
        root = config_root_setting(&config);
        for (int i = 0; result == 0 && i < config_setting_length(root); i++)
                result = apply(o, command, config_setting_get_elem(root, (unsigned)i), file);
        config_destroy(&config);
        return result;
}

static int open_default(char **file, FILE **in)
{
        char *user = path_config("tapline.conf");

        *in = user != NULL ? fopen(user, "re") : NULL;
        if (*in != NULL ||
            (user != NULL && errno != ENOENT && errno != ENOTDIR && errno != EACCES)) {
                *file = user;
                return *in != NULL ? 0 : -1;
        }
        free(user);
        *in = fopen("/etc/tapline.conf", "re");
        *file = strdup("/etc/tapline.conf");
        return 0;
}

int tapline_config_read(struct options *o, unsigned command)
{
        char *file = o->config != NULL ? strdup(o->config) : NULL;
        FILE *in = NULL;
        int result = 0;

        if (file != NULL)
                in = fopen(file, "re");
        else if (open_default(&file, &in) < 0)
                result = -1;
        if ((o->config != NULL && in == NULL) || result < 0) {
                fprintf(stderr, "tapline: cannot read the configuration %s: %s\n", file,
                        strerror(errno));
                free(file);
                return -1;
        }
        if (in != NULL) {
                result = read_file(o, command, file, in);
                fclose(in);
        }
        free(file);
        return result;
}
