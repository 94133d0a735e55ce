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

#define AT(field) offsetof(struct options, field)

/* name, short, argument, optional argument's value, commands, type, field, inside, help */
const struct option_def option_table[] = {
        {"upstream", 0, "URL", NULL, FOR_RUN | FOR_RELAY | FOR_CHECK, OPTION_LIST, AT(upstream),
         true,
         "go out through this proxy: SCHEME://[USER:PASSWORD@]HOST:PORT, SCHEME one of http, "
         "https, "
         "socks5, socks5h, socks4a and socks4, or the word direct; given twice: through the first "
         "to the second; A|B: B when A fails (default: https_proxy, http_proxy and all_proxy of "
         "the environment)"},
        {"route", 0, "LIST=URL", NULL, FOR_RUN | FOR_RELAY | FOR_CHECK, OPTION_LIST, AT(route),
         true,
         "go to these hosts by this upstream; LIST as in --no-proxy, URL as in --upstream; may be "
         "given more than once, the first that matches counts, before --no-proxy"},
        {"upstream-ca", 0, "FILE", NULL, FOR_RUN | FOR_RELAY | FOR_CHECK, OPTION_STRING,
         AT(upstream_ca), true,
         "verify https:// upstreams with the certificates of this file (default: the system's)"},
        {"netrc", 0, "FILE", "", FOR_RUN | FOR_RELAY | FOR_CHECK, OPTION_STRING, AT(netrc), true,
         "take the login of an upstream whose URL has none from this netrc file, which only you "
         "may be able to read (--netrc alone: ~/.netrc)"},
        {"no-proxy", 0, "LIST", NULL, FOR_RUN | FOR_RELAY | FOR_CHECK, OPTION_STRING, AT(no_proxy),
         true,
         "hosts that are reached directly: names, .suffixes, addresses, CIDR blocks, each with an "
         "optional :port, or * (default: no_proxy of the environment)"},
        {"inspect", 0, "WHEN", "auto", FOR_RUN | FOR_RELAY, OPTION_STRING, AT(inspect), true,
         "look inside TLS: never, auto (a client that refuses is passed through from then on) or "
         "always "
         "(default: never; --inspect alone: auto)"},
        {"ca-out", 0, "FILE", NULL, FOR_RELAY, OPTION_STRING, AT(ca_out), false,
         "with --inspect: write the certificate of the relay's authority here, for clients to "
         "trust; "
         "its key stays in memory (default: nowhere)"},
        {"client-cert", 0, "HOST=FILE", NULL, FOR_RUN | FOR_RELAY, OPTION_LIST, AT(client_certs),
         true,
         "with --inspect: a certificate and its key (PEM, mode 0600) for a host that asks for one; "
         "may be "
         "given more than once (default: such connections pass through untouched)"},
        {"keylog", 0, "FILE", NULL, FOR_RUN | FOR_RELAY, OPTION_STRING, AT(keylog), false,
         "with --inspect: append the keys of both TLS connections to this file, in the form of NSS "
         "(default: nowhere)"},
        {"pcap", 0, "FILE", NULL, FOR_RUN | FOR_RELAY, OPTION_STRING, AT(pcap), false,
         "with --inspect: write what passes, with its keys, to this file for Wireshark (pcapng; "
         "default: "
         "nowhere)"},
        {"digest", 0, NULL, NULL, FOR_RUN | FOR_RELAY, OPTION_FLAG, AT(digest), true,
         "record the SHA-256 of each complete body"},
        {"bypass", 0, "LIST", NULL, FOR_RUN | FOR_RELAY, OPTION_STRING, AT(bypass), false,
         "what is not sent through the relay, as in --no-proxy; loopback is left alone unless the "
         "list is "
         "the word none (default: loopback)"},
        {"resolve", 0, "WHO", NULL, FOR_RUN | FOR_RELAY, OPTION_STRING, AT(resolve), true,
         "who looks names up: local, the programs; auto, the upstream proxy those that they "
         "cannot; remote, the upstream proxy (without one: the relay) all (default: auto)"},
        {"via", 0, "NAME|off", NULL, FOR_RUN | FOR_RELAY, OPTION_STRING, AT(via), true,
         "the relay's name in the Via field of http:// messages that it forwards; off adds none "
         "(default: tapline- and eight digits, new for each relay)"},
        {"only", 0, "LIST", NULL, FOR_RUN, OPTION_STRING, AT(only), true,
         "watch only these programs: names separated by commas, * and ? stand for other "
         "characters; their "
         "children are reached through those that are left alone"},
        {"except", 0, "LIST", NULL, FOR_RUN, OPTION_STRING, AT(except), true,
         "leave these programs alone; the list is that of --only"},
        {"quic", 0, "pass|refuse", NULL, FOR_RUN, OPTION_STRING, AT(quic), true,
         "what becomes of UDP to port 443: pass records it, refuse also lets it fail, so that "
         "programs fall back "
         "to TCP, which is seen (default: pass)"},
        {"capture", 0, NULL, NULL, FOR_RUN, OPTION_FLAG, AT(capture), true,
         "read the command's output on its way, and put what a tool claims beside what is true"},
        {"fix", 0, NULL, NULL, FOR_RUN, OPTION_FLAG, AT(fix), true,
         "move a known tool's cache that cannot be used to a private directory, for this command, "
         "and say so"},
        {"record", 0, "FILE", NULL, FOR_RUN | FOR_RELAY, OPTION_STRING, AT(record), false,
         "write the record here (run: default a new file in the state directory; relay: none)"},
        {"listen", 0, "WHERE", NULL, FOR_RELAY, OPTION_LIST, AT(listen), true,
         "serve HTTP proxy (CONNECT, http://) and SOCKS (4, 4a, 5) clients on this ADDRESS:PORT or "
         "unix:PATH; may be given more than once; beyond loopback only with --auth-file or "
         "--allow"},
        {"auth-file", 0, "FILE", NULL, FOR_RELAY, OPTION_STRING, AT(auth_file), false,
         "clients of --listen need one of the logins of this file: USER:PASSWORD, one a line "
         "(Basic for HTTP, RFC 1929 for SOCKS5)"},
        {"allow", 0, "LIST", NULL, FOR_RELAY, OPTION_STRING, AT(allow), false,
         "other machines that may use --listen: addresses and CIDR blocks"},
        {"admin", 0, "WHERE", NULL, FOR_RELAY, OPTION_STRING, AT(admin), false,
         "serve /healthz and /metrics (Prometheus) on this loopback ADDRESS:PORT or unix:PATH"},
        {"head-timeout", 0, "SECONDS", NULL, FOR_RELAY, OPTION_STRING, AT(head_timeout), false,
         "time a client has to send its request (default: 30; 0: any)"},
        {"connect-timeout", 0, "SECONDS", NULL, FOR_RELAY, OPTION_STRING, AT(connect_timeout),
         false,
         "time for reaching the target, proxies included, for a client of --listen (default: 60; "
         "0: as long as the kernel and the proxies take)"},
        {"answer-timeout", 0, "SECONDS", NULL, FOR_RELAY, OPTION_STRING, AT(answer_timeout), false,
         "time for the first byte of the answer to a forwarded http:// request, from when all of "
         "it "
         "is on its way (default: 900; 0: as --idle-timeout)"},
        {"idle-timeout", 0, "SECONDS", NULL, FOR_RELAY, OPTION_STRING, AT(idle_timeout), false,
         "a tunnel of --listen in which nothing moves for so long is closed (default: 7200; 0: "
         "never)"},
        {"linger", 0, "SECONDS", NULL, FOR_RELAY, OPTION_STRING, AT(linger), false,
         "the same once one side has ended (default: 600; 0: as --idle-timeout)"},
        {"keepalive", 0, "SECONDS", NULL, FOR_RELAY, OPTION_STRING, AT(keepalive), false,
         "TCP keepalive: first probe after so long a silence (default: 120; 0: no probes)"},
        {"max-connections", 0, "NUMBER", NULL, FOR_RELAY, OPTION_STRING, AT(max_connections), false,
         "serve no more at a time: new clients wait (default: 0, as many as the limit on open "
         "files allows)"},
        {"workers", 0, "NUMBER", NULL, FOR_RELAY, OPTION_STRING, AT(workers), false,
         "threads that move the bytes of busy tunnels, beside the one that does all else (default: "
         "0)"},
        {"socket", 0, "PATH", NULL, FOR_RELAY, OPTION_STRING, AT(socket), false,
         "control socket for preloaded programs (default: tapline/relay.sock in the runtime "
         "directory)"},
        {"drain", 0, "SECONDS", NULL, FOR_RUN | FOR_RELAY, OPTION_STRING, AT(drain), true,
         "time that open connections get when the command has ended or the relay is told to stop "
         "(default: 2)"},
        {"format", 0, "text|json|github|har", NULL, FOR_REPORT | FOR_CHECK, OPTION_STRING,
         AT(format), true, "form of the report (default: text; check has text and json)"},
        {"output", 0, "FILE", NULL, FOR_REPORT | FOR_CHECK, OPTION_STRING, AT(output), true,
         "write the report here (default: standard output)"},
        {"config", 0, "FILE", NULL, FOR_RUN | FOR_RELAY | FOR_REPORT | FOR_CHECK, OPTION_STRING,
         AT(config), true,
         "read this configuration file (default: tapline/tapline.conf in the configuration "
         "directory, else "
         "/etc/tapline.conf)"},
        {"quiet", 'q', NULL, NULL, FOR_RUN | FOR_RELAY | FOR_CHECK, OPTION_FLAG, AT(quiet), true,
         "say nothing when all is well"},
        {"verbose", 'v', NULL, NULL, FOR_RUN | FOR_RELAY, OPTION_FLAG, AT(verbose), true,
         "print every event on standard error as it is recorded"},
        {"help", 'h', NULL, NULL, FOR_RUN | FOR_RELAY | FOR_REPORT | FOR_CHECK, OPTION_FLAG,
         AT(help), true, "print this and exit"},
        {NULL, 0, NULL, NULL, 0, OPTION_FLAG, 0, false, NULL},
};
_Static_assert(sizeof option_table / sizeof *option_table <= OPTIONS_MAX, "raise OPTIONS_MAX");

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
                if (optarg != NULL && (def->offset == AT(upstream) || def->offset == AT(route)))
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
                    strcmp(def->name, "help") == 0 || (inside && !def->inside))
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

/* Index of an option's value in a list of words, the first if it has none; -1 after a complaint. */
static int check_word(const struct options *o, const char *name, const char *value,
                      const char *const *words)
{
        for (int i = 0; words[i] != NULL; i++)
                if (value == NULL || strcmp(value, words[i]) == 0)
                        return i;
        fprintf(stderr, "tapline: %s: '%s' is not one of %s", options_from(o, name), value,
                words[0]);
        for (int i = 1; words[i] != NULL; i++)
                fprintf(stderr, ", %s", words[i]);
        fputc('\n', stderr);
        return -1;
}

static int check_words(struct options *o)
{
        static const char *const inspect[] = {"never", "auto", "always", NULL};
        static const char *const resolve[] = {"auto", "local", "remote", NULL};
        static const char *const quic[] = {"pass", "refuse", NULL};
        static const char *const format[] = {"text", "json", "github", "har", NULL};
        int inspect_word = check_word(o, "inspect", o->inspect, inspect);
        int resolve_word = check_word(o, "resolve", o->resolve, resolve);

        o->inspect_mode = (enum inspect_mode)inspect_word;
        o->resolve_mode = (enum resolve_mode)resolve_word;
        return inspect_word < 0 || resolve_word < 0 || check_word(o, "quic", o->quic, quic) < 0 ||
                               check_word(o, "format", o->format, format) < 0
                       ? -1
                       : 0;
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
        char left[64];
        int used = snprintf(
                left, sizeof left, "  %s%c%s--%s%s%s%s%s", def->short_name != 0 ? "-" : "  ",
                def->short_name != 0 ? def->short_name : ' ', def->short_name != 0 ? ", " : " ",
                def->name, def->optional_value != NULL ? "[" : "", def->argument != NULL ? "=" : "",
                def->argument != NULL ? def->argument : "", def->optional_value != NULL ? "]" : "");
        const char *text = def->help;

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
        printf("\nEach option is also a key of the configuration file (with _ for -) and an "
               "environment\n"
               "variable (TAPLINE_UPSTREAM and so on). The command line beats the environment "
               "beats the file.\n");
}
