/* The library itself: can it be loaded, can it reach a relay, and will it be in the command? */
#include "cli/check.h"
#include "cli/paths.h"
#include "net/message.h"
#include "tapline_names.h"
#include "tapline_program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOAD_MS = 10000 };

/* Read what a child says until its end. Returns false if that takes too long. */
static bool read_all(int fd, char *out, size_t cap)
{
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        size_t used = 0;
        ssize_t n = 1;

        while (n > 0 && used < cap - 1 && poll(&waiting, 1, LOAD_MS) > 0) {
                n = read(fd, out + used, cap - 1 - used);
                used += n > 0 ? (size_t)n : 0;
        }
        out[used] = '\0';
        return n <= 0 || used == cap - 1;
}

/* Start `true` with the library. What the linker has to say against it comes on standard error. */
static int load(const char *library, char *said, size_t cap)
{
        char program[] = "true", nowhere[] = TAPLINE_ENV_SOCKET "=/dev/null", *entry;
        char *argv[] = {program, NULL}, *env[] = {NULL, nowhere, NULL};
        posix_spawn_file_actions_t actions;
        int pipes[2], status = -1, error;
        pid_t pid;

        if (pipe2(pipes, O_CLOEXEC) < 0)
                return -errno;
        if (asprintf(&entry, "LD_PRELOAD=%s", library) < 0)
                return -ENOMEM;
        env[0] = entry;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, pipes[1], STDERR_FILENO);
        error = posix_spawnp(&pid, "true", &actions, NULL, argv, env);
        posix_spawn_file_actions_destroy(&actions);
        close(pipes[1]);
        if (error == 0 && !read_all(pipes[0], said, cap))
                kill(pid, SIGKILL);
        if (error == 0 && waitpid(pid, &status, 0) == pid)
                error = status == 0 ? 0 : ECHILD;
        close(pipes[0]);
        free(entry);
        return -error;
}

static void check_library(struct check *check)
{
        char *library = path_library(), said[1024] = "";
        struct check_item *item;
        int result;

        if (library == NULL) {
                check_advise(check_add(check, "preload", CHECK_PROBLEM,
                                       TAPLINE_LIB_NAME " is neither beside the program nor in %s.",
                                       TAPLINE_LIBDIR),
                             "Install tapline again.");
                return;
        }
        result = load(library, said, sizeof said);
        if (result == 0 && said[0] == '\0') {
                check_add(check, "preload", CHECK_OK, "%s can be loaded", library);
        } else {
                item = check_add(check, "preload", CHECK_PROBLEM, "%s cannot be loaded.", library);
                said[strcspn(said, "\n")] = '\0';
                if (item != NULL && said[0] != '\0')
                        text_add(&item->evidence, "%s", said);
                else if (item != NULL)
                        text_add(&item->evidence, "true: %s", strerror(-result));
        }
        free(library);
}

/* Listen on loopback and connect there, as every redirected program does. */
static int try_loopback(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

        if (listener < 0 || client < 0 ||
            bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
            listen(listener, 1) < 0 ||
            getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
            connect(client, (struct sockaddr *)&address, sizeof address) < 0)
                error = errno;
        if (listener >= 0)
                close(listener);
        if (client >= 0)
                close(client);
        return error;
}

static void check_relay(struct check *check)
{
        char *dir = path_make_run_dir();
        int error = try_loopback();

        if (dir == NULL)
                check_add(check, "relay", CHECK_PROBLEM,
                          "There is no place for the relay's socket: neither XDG_RUNTIME_DIR nor "
                          "TMPDIR nor /tmp can be written.");
        else if (error != 0)
                check_add(check, "relay", CHECK_PROBLEM,
                          "No connection can be made on loopback, so no program can reach the "
                          "relay: %s.",
                          strerror(error));
        else
                check_add(check, "relay", CHECK_OK, "programs can reach a relay on loopback");
        if (dir != NULL)
                path_remove_run_dir(dir);
        free(dir);
}

/* The command works without being watched, only nothing can be said about it. */
static void check_program(struct check *check, const char *name)
{
        struct program found;

        program_search(name, &found);
        if (found.reason == WIRE_COVERED) {
                check_add(check, "program", CHECK_OK, "%s can be watched", name);
                return;
        }
        check_add(check, "program", CHECK_WARNING,
                  "%s cannot be watched (%s); tapline will see nothing of it", found.path,
                  message_uncovered_reason(found.reason));
}

static bool is_found(const char *name)
{
        const char *path = getenv("PATH");
        char full[PATH_MAX];

        if (strchr(name, '/') != NULL)
                return access(name, X_OK) == 0;
        for (const char *at = path; at != NULL && *at != '\0'; at += strspn(at, ":")) {
                size_t len = strcspn(at, ":");

                snprintf(full, sizeof full, "%.*s/%s", (int)len, at, name);
                if (access(full, X_OK) == 0)
                        return true;
                at += len;
        }
        return false;
}

void check_preload(struct check *check)
{
        check_library(check);
        check_relay(check);
        if (check->command == NULL)
                return;
        if (is_found(check->command[0]))
                check_program(check, check->command[0]);
        else
                check_add(check, "program", CHECK_PROBLEM, "%s is not found or not executable.",
                          check->command[0]);
}
