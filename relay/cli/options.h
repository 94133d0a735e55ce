/* Options: one table (option_table.c) from which the command line, the environment, the
 * configuration file and
 * --help follow. Command line beats environment beats file. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "tapline_names.h"

#include <stdbool.h>
#include <stddef.h>

enum { OPTIONS_MAX = 64 }; /* room for the table */

enum { FOR_RUN = 1, FOR_RELAY = 2, FOR_REPORT = 4, FOR_TAIL = 8, FOR_DIFF = 16, FOR_CHECK = 64 };

/* Among an option's commands: it has no key in the file and no variable. */
enum { ONLY_TYPED = 128 };

enum resolve_mode { RESOLVE_AUTO, RESOLVE_LOCAL, RESOLVE_REMOTE };

enum inspect_mode { INSPECT_NEVER, INSPECT_AUTO, INSPECT_ALWAYS };

enum quic_mode { QUIC_PASS, QUIC_REFUSE };

enum report_format {
        FORMAT_TEXT,
        FORMAT_JSON,
        FORMAT_HTML,
        FORMAT_HAR,
        FORMAT_OTLP,
        FORMAT_GITHUB,
        FORMAT_TRACE
};

/* All strings are owned. */
struct options {
        char **upstream; /* NULL-terminated, or NULL: a chain */
        char **route;    /* NULL-terminated, or NULL: "LIST=UPSTREAM" each */
        char *upstream_ca;
        char *netrc; /* a path, or "" for ~/.netrc */
        char *no_proxy;
        char *inspect;
        char *ca_out;
        char *keylog, *pcap;
        char **client_certs; /* HOST=FILE; NULL-terminated, or NULL */
        char *bypass;
        char *record;
        char *config;
        char *socket;
        char *format;
        char *output;
        char **listen; /* NULL-terminated, or NULL */
        char *drain;   /* seconds */
        char *auth_file, *allow, *admin;
        char *head_timeout, *connect_timeout, *answer_timeout; /* seconds */
        char *idle_timeout, *linger;
        char *keepalive, *max_connections, *workers;
        char *resolve;
        char *quic;
        char *only, *except;              /* names of programs, as tapline_program.h has them */
        char *via;                        /* name, "off", or NULL */
        char *lines, *flow, *pid, *event; /* of tail */
        bool from_start;
        bool quiet, verbose, help, digest, fix, capture;
        enum inspect_mode inspect_mode;   /* from inspect, checked */
        enum resolve_mode resolve_mode;   /* from resolve, checked */
        enum quic_mode quic_mode;         /* from quic, checked */
        enum report_format report_format; /* from format, checked */
        int drain_ms;                     /* from drain, checked */
        bool password_shown;              /* one stood on the command line */
        char *from[OPTIONS_MAX];          /* owned; by place in the table: where each was said */
};

/* Read all three sources for a command. argv[0] is the command's name. On success *next is the
 * index of the first operand. Returns 0; on bad input prints one line that names the option,
 * variable or file:line and key, and returns -1. options_free in both cases. */
int options_read(struct options *o, unsigned command, int argc, char **argv, int *next);
void options_free(struct options *o);

/* Where an option was said: "--drain", "TAPLINE_DRAIN" or "FILE:LINE: drain". Borrowed. */
const char *options_from(const struct options *o, const char *name);

/* What --via comes to: a name, "" for off, NULL for one of the relay's own. Borrowed. */
const char *options_via(const struct options *o);

/* Print the table's lines for a command. */
void options_help(unsigned command);

/* "1" in this variable: the environment was made by `tapline run`, so what it says of records and
 * sockets was not meant for a second tapline inside it. */
#define OPTIONS_ENV_INSIDE TAPLINE_ENV_INSIDE

#endif
