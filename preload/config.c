/* Reads the environment when the library is loaded and says hello to the relay. See config.h. */
#include "config.h"
#include "control.h"
#include "exec_env.h"
#include "fallback.h"
#include "own_exe.h"
#include "real.h"
#include "sys.h"
#include "tapline_names.h"
#include "tapline_program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>

struct config config;
_Atomic unsigned short config_relay_port, config_hold_port;

/* Append text to a path in a fixed buffer. Returns false if it does not fit. */
static bool append(char *path, size_t cap, const char *text)
{
        size_t used = strlen(path), len = strlen(text);

        if (used + len >= cap)
                return false;
        memcpy(path + used, text, len + 1);
        return true;
}

static void append_number(char *path, size_t cap, unsigned long value)
{
        char digits[24];
        size_t at = sizeof digits - 1;

        digits[at] = '\0';
        do {
                digits[--at] = (char)('0' + value % 10);
                value /= 10;
        } while (value != 0);
        append(path, cap, digits + at);
}

/* The default socket: in XDG_RUNTIME_DIR, else in a directory of the user's below the temp
 * directory. That the listener there is the user's own is checked by SO_PEERCRED (control.c). */
static bool default_socket(char *path, size_t cap)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR"), *temp = getenv("TMPDIR");

        path[0] = '\0';
        if (runtime != NULL && runtime[0] == '/')
                return append(path, cap, runtime) &&
                       append(path, cap, "/" TAPLINE_DIR_NAME "/" TAPLINE_SOCKET_NAME);
        if (!append(path, cap, temp != NULL && temp[0] == '/' ? temp : "/tmp") ||
            !append(path, cap, "/" TAPLINE_DIR_NAME "-"))
                return false;
        append_number(path, cap, (unsigned long)sys(SYS_geteuid, 0, 0, 0));
        return append(path, cap, "/" TAPLINE_SOCKET_NAME);
}

static void read_environment(void)
{
        const char *path = getenv(TAPLINE_ENV_SOCKET), *record = getenv(TAPLINE_ENV_RECORD);
        const char *bypass = getenv(TAPLINE_ENV_BYPASS), *tap = getenv(TAPLINE_ENV_TAP);
        const char *temp = getenv("TMPDIR");
        const char *quic = getenv(TAPLINE_ENV_QUIC), *resolve = getenv(TAPLINE_ENV_RESOLVE);
        size_t cap = sizeof config.relay.sun_path;

        config.relay.sun_family = AF_UNIX;
        config.told_socket = path != NULL && path[0] == '/' && strlen(path) < cap;
        if (config.told_socket)
                memcpy(config.relay.sun_path, path, strlen(path) + 1);
        else if (!default_socket(config.relay.sun_path, cap))
                config.relay.sun_path[0] = '\0';
        if (record != NULL && record[0] == '/' && strlen(record) < sizeof config.record)
                memcpy(config.record, record, strlen(record) + 1);
        if (temp != NULL && temp[0] == '/' && strlen(temp) < sizeof config.temp)
                memcpy(config.temp, temp, strlen(temp) + 1);
        config.redirect_loopback = bypass != NULL && strcmp(bypass, "none") == 0;
        if (resolve != NULL && strcmp(resolve, "local") == 0)
                config.resolve = RESOLVE_LOCAL;
        else if (resolve != NULL && strcmp(resolve, "remote") == 0)
                config.resolve = RESOLVE_REMOTE;
        config.refuse_quic = quic != NULL && strcmp(quic, "refuse") == 0;
        config.tap = tap == NULL || strcmp(tap, "0") != 0;
        config.only = exec_env_saved(TAPLINE_ENV_ONLY);
        config.except = exec_env_saved(TAPLINE_ENV_EXCEPT);
        config.reachable = config.relay.sun_path[0] != '\0';
}

/* A script goes by its own name too: the kernel keeps it (AT_EXECFN), its interpreter is the exe.
 */
static bool is_chosen(int argc, char **argv)
{
        char exe[PATH_MAX];
        const char *names[] = {argc > 0 ? argv[0] : NULL, (const char *)getauxval(AT_EXECFN), exe};

        if (config.only == NULL && config.except == NULL)
                return true;
        own_exe(argc, argv, exe, sizeof exe);
        return program_is_chosen(config.only, config.except, names, sizeof names / sizeof *names);
}

/* Pack exe and arguments behind the struct, as many as fit. Returns the packet's length. */
static size_t pack_hello(char *packet, size_t cap, int argc, char **argv)
{
        size_t at = sizeof(struct wire_hello);

        at += own_exe(argc, argv, packet + at, cap - at) + 1;
        for (int i = 0; i < argc && argv[i] != NULL; i++) {
                size_t len = strlen(argv[i]) + 1;

                if (len > cap - at)
                        break;
                memcpy(packet + at, argv[i], len);
                at += len;
        }
        return at;
}

/* Now, and not when it is needed: a program may by then have given up the right to read it (root's
 * apt does). */
static void read_ca(void)
{
        const char *path = getenv(TAPLINE_ENV_CA);
        long fd, n;

        if (path == NULL || path[0] != '/')
                return;
        fd = sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return;
        n = sys(SYS_read, fd, config.ca, sizeof config.ca);
        /* 0x30: the tag of a DER sequence. One that fills the room may be longer. */
        if (n > 0 && n < (long)sizeof config.ca && config.ca[0] == 0x30)
                config.ca_len = (size_t)n;
        sys(SYS_close, fd, 0, 0);
}

/* Whom SIGXFSZ ends has no call that fails, and is gone when the relay hears of it. */
static void read_size_limit(struct wire_hello *hello)
{
        struct rlimit64 limit;

        hello->fsize_limit = hello->fsize_hard_limit = UINT64_MAX;
        if (sys6(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, SYS_LONG(&limit), 0, 0) < 0)
                return;
        hello->fsize_limit = limit.rlim_cur;
        hello->fsize_hard_limit = limit.rlim_max;
}

static void say_hello(int argc, char **argv)
{
        _Alignas(struct wire_hello) char packet[4096];
        struct wire_hello *hello = (struct wire_hello *)packet;

        memset(hello, 0, sizeof *hello);
        read_size_limit(hello);
        hello->ppid = (int32_t)sys(SYS_getppid, 0, 0, 0);
        control_report(WIRE_HELLO, &hello->head, pack_hello(packet, sizeof packet, argc, argv));
}

/* glibc hands a constructor the arguments of main. */
__attribute__((constructor)) static void start(int argc, char **argv)
{
        int saved = errno;

        exec_env_save();
        read_environment();
        config.ready = config.reachable && is_chosen(argc, argv);
        config.tap = config.tap && config.ready;
        real_resolve_exec();
        fallback_init();
        if (config.ready) {
                read_ca();
                say_hello(argc, argv);
        }
        errno = saved;
}
