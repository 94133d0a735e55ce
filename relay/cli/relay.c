/* tapline relay: the relay alone, for preloaded programs that are started elsewhere and for any
 * client that can use an HTTP proxy. */
#include "net/relay.h"
#include "cli/commands.h"
#include "cli/confine.h"
#include "cli/inspection.h"
#include "cli/options.h"
#include "cli/paths.h"
#include "cli/run_record.h"
#include "cli/way.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void usage(void)
{
        puts("usage: tapline relay [options]\n\n"
             "Serves until it gets SIGINT or SIGTERM: programs that run with "
             "LD_PRELOAD=libtapline.so find it at\n"
             "its control socket, and with --listen any client can use it as an HTTP or SOCKS "
             "proxy.\n");
        options_help(FOR_RELAY);
        puts("\n  tapline relay --listen 127.0.0.1:8083 --upstream http://proxy.example:3128\n"
             "  curl --proxy http://127.0.0.1:8083 https://index.example/simple/\n"
             "  tapline relay --listen 127.0.0.1:8083 --inspect --ca-out ca.pem --record r.jsonl");
}

/* A socket that a dead relay left behind is in the way; one that answers is not ours to take. */
static int clear_socket(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd, error;

        if (strlen(path) >= sizeof address.sun_path) {
                fprintf(stderr, "tapline: --socket %s: the path is longer than %zu bytes\n", path,
                        sizeof address.sun_path - 1);
                return -1;
        }
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        error = fd < 0                                                          ? errno
                : connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0
                                                                                : errno;
        if (fd >= 0)
                close(fd);
        if (error == 0) {
                fprintf(stderr,
                        "tapline: another relay serves %s already; choose another path with "
                        "--socket\n",
                        path);
                return -1;
        }
        if (error == ECONNREFUSED)
                unlink(path);
        return 0;
}

static int serve(const struct options *o, const struct way *way, struct record *record,
                 const char *socket, struct inspector *inspector)
{
        struct relay_options options = {.socket_path = socket,
                                        .listen = (const char *const *)o->listen,
                                        .https_upstream = way->https,
                                        .http_upstream = way->http,
                                        .no_proxy = way->no_proxy,
                                        .via = options_via(o),
                                        .bypass = way->bypass,
                                        .resolve = (enum relay_resolve)o->resolve_mode,
                                        .record = record,
                                        .inspector = inspector,
                                        .digest = o->digest,
                                        .lifetime_fd = -1,
                                        .ready_fd = -1,
                                        .drain_ms = o->drain_ms};
        const char *const own[] = {socket, NULL};
        struct relay *relay;
        int result;

        if (inspector != NULL)
                inspector_prepare(inspector);
        confine(own); /* as far as this kernel goes */
        result = relay_new(&relay, &options);
        if (result < 0)
                return result == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
        for (size_t i = 0; !o->quiet && o->listen != NULL && o->listen[i] != NULL; i++)
                fprintf(stderr, "tapline: listening on %s, going out %s%s\n", o->listen[i],
                        way->https != NULL ? "through " : "directly",
                        way->https != NULL ? way->https->shown : "");
        if (!o->quiet)
                fprintf(stderr, "tapline: control socket %s\n", socket);
        relay_run(relay);
        relay_free(relay);
        return EXIT_SUCCESS;
}

static int relay_with(struct options *o, struct way *way)
{
        char *socket = o->socket != NULL ? strdup(o->socket) : path_default_socket();
        struct inspection inspection = {.ca = NULL};
        struct record *record = NULL;
        int result, status = EXIT_FAILURE;
        uint64_t start_ns = uv_hrtime();

        if (socket == NULL) {
                fputs("tapline: no place for the control socket; name one with --socket\n", stderr);
                return EXIT_FAILURE;
        }
        result = record_open(&record, o->record);
        if (result < 0) {
                fprintf(stderr, "tapline: cannot write the record %s: %s\n", o->record,
                        strerror(-result));
        } else if (clear_socket(socket) == 0 && inspection_start(&inspection, o, record) == 0 &&
                   inspection_write_ca(&inspection, o) == 0) {
                record_echo(record, o->verbose);
                run_record_start(record, o, way, NULL, NULL);
                status = serve(o, way, record, socket, inspection.inspector);
                run_record_end(record, NULL, (int64_t)((uv_hrtime() - start_ns) / 1000), true);
        }
        inspection_free(&inspection);
        record_free(record);
        free(socket);
        return status;
}

int command_relay(int argc, char **argv)
{
        struct options o;
        struct way way = {.https = NULL};
        int next = 0, status = EXIT_USAGE;

        if (options_read(&o, FOR_RELAY, argc, argv, &next) < 0) {
                /* said already */
        } else if (o.help) {
                usage();
                status = EXIT_SUCCESS;
        } else if (next < argc) {
                fprintf(stderr, "tapline relay: '%s' is not an option; see tapline relay --help\n",
                        argv[next]);
        } else if (way_read(&way, &o) == 0) {
                status = relay_with(&o, &way);
        }
        way_free(&way);
        options_free(&o);
        return status;
}
