/* The table of options: see option_table.h. */
#include "cli/option_table.h"

#include <stdio.h>
#include <string.h>

enum { FOR_EVERY = FOR_RUN | FOR_RELAY | FOR_REPORT | FOR_TAIL | FOR_DIFF | FOR_CHECK };

#define AT(field) offsetof(struct options, field)

static const char *const inspect_words[] = {
        [INSPECT_NEVER] = "never", [INSPECT_AUTO] = "auto", [INSPECT_ALWAYS] = "always", NULL};
static const char *const resolve_words[] = {
        [RESOLVE_AUTO] = "auto", [RESOLVE_LOCAL] = "local", [RESOLVE_REMOTE] = "remote", NULL};
static const char *const quic_words[] = {[QUIC_PASS] = "pass", [QUIC_REFUSE] = "refuse", NULL};
static const char *const format_words[] = {[FORMAT_TEXT] = "text",   [FORMAT_JSON] = "json",
                                           [FORMAT_HTML] = "html",   [FORMAT_HAR] = "har",
                                           [FORMAT_OTLP] = "otlp",   [FORMAT_GITHUB] = "github",
                                           [FORMAT_TRACE] = "trace", NULL};

static const struct option_words vocabularies[] = {
        {"inspect", inspect_words, AT(inspect_mode)},
        {"resolve", resolve_words, AT(resolve_mode)},
        {"quic", quic_words, AT(quic_mode)},
        {"format", format_words, AT(report_format)},
};

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
         "look inside TLS; auto: a client that refuses is passed through from then on (default: "
         "never; --inspect alone: auto)"},
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
         "the relay's name in the Via field of http:// messages, and CONNECT, that it forwards; "
         "off "
         "adds none "
         "(default: tapline- and eight digits, new for each relay)"},
        {"only", 0, "LIST", NULL, FOR_RUN, OPTION_STRING, AT(only), true,
         "watch only these programs: names separated by commas, * and ? stand for other "
         "characters; their "
         "children are reached through those that are left alone"},
        {"except", 0, "LIST", NULL, FOR_RUN, OPTION_STRING, AT(except), true,
         "leave these programs alone; the list is that of --only"},
        {"quic", 0, "WHAT", NULL, FOR_RUN, OPTION_STRING, AT(quic), true,
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
         "it is on its way (default: 900; 0: as --idle-timeout)"},
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
        {"format", 0, "FORMAT", NULL, FOR_REPORT | FOR_DIFF | FOR_CHECK, OPTION_STRING, AT(format),
         true,
         "form of the report: text for a person, json for programs, html a page that needs nothing "
         "else, har the requests, otlp and trace for viewers of traces, github annotations of a "
         "job (default: text; check and diff have text and json)"},
        {"output", 0, "FILE", NULL, FOR_REPORT | FOR_DIFF | FOR_CHECK, OPTION_STRING, AT(output),
         true, "write the report here (default: standard output)"},
        {"lines", 'n', "NUMBER", NULL, FOR_TAIL | ONLY_TYPED, OPTION_STRING, AT(lines), true,
         "begin with so many of the events that are there already (default: 10)"},
        {"from-start", 0, NULL, NULL, FOR_TAIL | ONLY_TYPED, OPTION_FLAG, AT(from_start), true,
         "begin with the record's first event"},
        {"event", 0, "LIST", NULL, FOR_TAIL | ONLY_TYPED, OPTION_STRING, AT(event), true,
         "only these kinds of events: names separated by commas, * and ? stand for other "
         "characters (default: all)"},
        {"pid", 0, "LIST", NULL, FOR_TAIL | ONLY_TYPED, OPTION_STRING, AT(pid), true,
         "only what is about these processes: numbers separated by commas (default: all)"},
        {"flow", 0, "LIST", NULL, FOR_TAIL | ONLY_TYPED, OPTION_STRING, AT(flow), true,
         "only what is about these connections: numbers separated by commas (default: all)"},
        {"config", 0, "FILE", NULL, FOR_EVERY, OPTION_STRING, AT(config), true,
         "read this configuration file (default: tapline/tapline.conf in the configuration "
         "directory, else "
         "/etc/tapline.conf)"},
        {"quiet", 'q', NULL, NULL, FOR_RUN | FOR_RELAY | FOR_CHECK, OPTION_FLAG, AT(quiet), true,
         "say nothing when all is well"},
        {"verbose", 'v', NULL, NULL, FOR_RUN | FOR_RELAY, OPTION_FLAG, AT(verbose), true,
         "print every event on standard error, one a line, as it is recorded"},
        {"help", 'h', NULL, NULL, FOR_EVERY | ONLY_TYPED, OPTION_FLAG, AT(help), true,
         "print this and exit"},
        {NULL, 0, NULL, NULL, 0, OPTION_FLAG, 0, false, NULL},
};
_Static_assert(sizeof option_table / sizeof *option_table <= OPTIONS_MAX, "raise OPTIONS_MAX");

const struct option_words *option_words(const struct option_def *def)
{
        for (size_t i = 0; i < sizeof vocabularies / sizeof vocabularies[0]; i++)
                if (strcmp(vocabularies[i].option, def->name) == 0)
                        return &vocabularies[i];
        return NULL;
}

void option_argument(const struct option_def *def, char *out, size_t cap)
{
        const struct option_words *closed = option_words(def);
        size_t len = 0;

        snprintf(out, cap, "%s", def->argument != NULL ? def->argument : "");
        for (size_t i = 0; closed != NULL && closed->words[i] != NULL && len < cap; i++)
                len += (size_t)snprintf(out + len, cap - len, "%s%s", i > 0 ? "|" : "",
                                        closed->words[i]);
}
