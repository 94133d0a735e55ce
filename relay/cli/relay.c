/* tapline relay: the relay alone, for preloaded programs that are started elsewhere and for any
 * client that can use an HTTP proxy. */
#include "net/relay.h"
#include "cli/commands.h"
#include "cli/confine.h"
#include "cli/echo.h"
#include "cli/inspection.h"
#include "cli/options.h"
#include "cli/paths.h"
#include "cli/plan.h"
#include "cli/run_record.h"
#include "net/activation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { OWN_MAX = 64 };

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
        struct stat st;
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
        /* A file refuses too. */
        if (error == ECONNREFUSED && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
                unlink(path);
        return 0;
}

/* What does not change with the configuration: sockets, record, inspection, and who is told when to
 * reload. */
struct session {
        int argc;
        char **argv;  /* borrowed: passwords too, which reading them hides in what ps(1) sees */
        char *socket; /* owned */
        struct record *record; /* owned */
        struct activation activation;
        struct inspection inspection;
        bool busy; /* a thread of the relay's could not be ended */
};

static void attach(struct session *session, struct plan *plan);

static void free_argv(char **argv)
{
        for (size_t i = 0; argv != NULL && argv[i] != NULL; i++)
                wipe_free(argv[i]);
        free(argv);
}

static char **copy_argv(int argc, char **argv)
{
        char **copy = calloc((size_t)argc + 1, sizeof *copy);

        for (int i = 0; copy != NULL && i < argc; i++)
                if ((copy[i] = strdup(argv[i])) == NULL) {
                        free_argv(copy);
                        copy = NULL;
                }
        if (copy == NULL)
                fputs("tapline: out of memory\n", stderr);
        return copy;
}

/* SIGHUP: the same command line with the files as they are now. A plan that cannot be read leaves
 * everything as it was; what is wrong has been said. */
static struct relay_options *reload(void *ctx)
{
        struct session *session = ctx;
        int next;
        char **argv = copy_argv(session->argc, session->argv);
        struct plan *plan = argv != NULL ? plan_read(session->argc, argv, &next) : NULL;

        free_argv(argv);
        if (plan == NULL) {
                fputs("tapline: the configuration stays as it was\n", stderr);
                return NULL;
        }
        attach(session, plan);
        return &plan->relay;
}

static void attach(struct session *session, struct plan *plan)
{
        plan->relay.socket_path = session->socket;
        plan->relay.record = session->record;
        plan->relay.inspector = session->inspection.inspector;
        plan->relay.activation = &session->activation;
        plan->relay.reload = reload;
        plan->relay.reload_ctx = session;
}

static void say_where(const struct plan *plan, const char *socket)
{
        const char *via = plan->way.shown;
        char **listen = plan->options.listen;

        for (size_t i = 0; listen != NULL && listen[i] != NULL; i++)
                fprintf(stderr, "tapline: listening on %s, going out %s%s\n", listen[i],
                        via != NULL ? "through " : "directly", via != NULL ? via : "");
        fprintf(stderr, "tapline: control socket %s\n", socket);
}

/* Where sockets are made, and removed at the end. As far as this kernel goes. */
static void confine_to_own(const struct session *session, const struct options *o)
{
        const char *own[OWN_MAX] = {session->socket};
        size_t count = 1;

        if (o->admin != NULL && strncmp(o->admin, "unix:", 5) == 0)
                own[count++] = o->admin + 5;
        for (size_t i = 0; o->listen != NULL && o->listen[i] != NULL && count < OWN_MAX - 1; i++)
                if (strncmp(o->listen[i], "unix:", 5) == 0)
                        own[count++] = o->listen[i] + 5;
        if (confine_self() == 0)
                confine_files(own);
}

/* From here on the plan is the relay's. */
static int serve(struct session *session, struct plan *plan)
{
        struct relay *relay;
        int result;

        attach(session, plan);
        if (plan->relay.inspector != NULL)
                inspector_prepare(plan->relay.inspector);
        confine_to_own(session, &plan->options);
        result = relay_new(&relay, &plan->relay);
        if (result < 0) {
                plan_free(plan);
                return result == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
        }
        if (!plan->options.quiet)
                say_where(plan, session->socket);
        relay_run(relay);
        session->busy = !relay_free(relay);
        return EXIT_SUCCESS;
}

static int open_session(struct session *session, const struct options *o)
{
        const char *why;
        int result;

        if (activation_take(&session->activation, &why) < 0) {
                fprintf(stderr, "tapline: sockets of the service manager: %s\n", why);
                return -1;
        }
        session->socket = o->socket != NULL ? strdup(o->socket) : path_default_socket();
        if (session->socket == NULL) {
                fputs("tapline: no place for the control socket; name one with --socket\n", stderr);
                return -1;
        }
        result = record_open(&session->record, o->record);
        if (result < 0)
                fprintf(stderr,
                        "tapline: cannot write the record %s: %s; name another with --record\n",
                        o->record, strerror(-result));
        if (result < 0 || clear_socket(session->socket) < 0 ||
            inspection_start(&session->inspection, o, session->record) < 0)
                return -1;
        return inspection_write_ca(&session->inspection, o);
}

/* Takes the plan. */
static int relay_with(struct plan *plan, int argc, char **argv)
{
        struct session session = {.argc = argc, .argv = argv};
        uint64_t start_ns = uv_hrtime();
        int status = EXIT_FAILURE;

        if (open_session(&session, &plan->options) == 0) {
                record_echo(session.record, plan->options.verbose ? echo_event : NULL);
                run_record_start(session.record, &plan->options, &plan->way, NULL, NULL);
                status = serve(&session, plan);
                run_record_end(session.record, NULL, (int64_t)((uv_hrtime() - start_ns) / 1000),
                               true);
        } else {
                plan_free(plan);
        }
        inspection_free(&session.inspection);
        record_free(session.record);
        if (session.busy)
                _exit(status); /* exit(3) would wait for the thread */
        free(session.socket);
        return status;
}

int command_relay(int argc, char **argv)
{
        int next, status = EXIT_USAGE;
        char **said = copy_argv(argc, argv);
        struct plan *plan = said != NULL ? plan_read(argc, argv, &next) : NULL;

        if (plan != NULL && !plan->options.help && next >= argc) {
                status = relay_with(plan, argc, said);
                free_argv(said);
                return status;
        }
        free_argv(said);
        if (plan == NULL)
                return EXIT_USAGE; /* said already */
        if (plan->options.help) {
                usage();
                status = EXIT_SUCCESS;
        } else {
                fprintf(stderr, "tapline relay: '%s' is not an option; see tapline relay --help\n",
                        argv[next]);
        }
        plan_free(plan);
        return status;
}
