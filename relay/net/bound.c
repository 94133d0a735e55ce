/* Making listening sockets; see bound.h. */
#include "net/bound.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static bool is_loopback(const struct sockaddr_storage *address)
{
        const struct sockaddr_in *v4 = (const void *)address;
        const struct sockaddr_in6 *v6 = (const void *)address;

        if (address->ss_family == AF_INET)
                return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void describe(const struct sockaddr_storage *address, struct bound *out)
{
        const struct sockaddr_in *v4 = (const void *)address;
        const struct sockaddr_in6 *v6 = (const void *)address;

        *out = (struct bound){.is_unix = address->ss_family == AF_UNIX};
        if (out->is_unix)
                return;
        out->is_loopback = is_loopback(address);
        out->port = ntohs(address->ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

static int bind_listen(const struct sockaddr *address, socklen_t len, struct bound *out)
{
        struct sockaddr_storage name;
        socklen_t name_len = sizeof name;
        int one = 1, error;
        int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (address->sa_family != AF_UNIX)
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (address->sa_family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        if (bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0 &&
            getsockname(fd, (struct sockaddr *)&name, &name_len) == 0) {
                describe(&name, out);
                return fd;
        }
        error = errno;
        close(fd);
        return -error;
}

/* A socket that a dead process left behind is in the way; one that answers is not ours to take. */
static int clear_path(const struct sockaddr_un *address)
{
        struct stat st;
        int fd, result = 0;

        if (lstat(address->sun_path, &st) < 0)
                return 0;
        if (!S_ISSOCK(st.st_mode))
                return -EEXIST;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
            errno != ECONNREFUSED)
                result = -EADDRINUSE;
        else if (unlink(address->sun_path) < 0)
                result = -errno;
        close(fd);
        return result;
}

static int open_path(const char *path, struct bound *out)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        mode_t mask;
        int result;

        if (path[0] == '\0')
                return -EINVAL;
        if (strlen(path) >= sizeof address.sun_path)
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        result = clear_path(&address);
        if (result < 0)
                return result;
        mask = umask(0177);
        result = bind_listen((struct sockaddr *)&address, sizeof address, out);
        umask(mask);
        out->path = path;
        return result;
}

int bound_packets(const char *path, int backlog)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        mode_t mask;
        int fd, error = 0;

        if (strlen(path) >= sizeof address.sun_path)
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        mask = umask(0177);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, backlog) < 0)
                error = errno;
        umask(mask);
        if (error == 0)
                return fd;
        close(fd);
        return -error;
}

static bool parse_port(const char *text)
{
        char *end;

        return text[0] >= '0' && text[0] <= '9' && strtoul(text, &end, 10) <= 65535 && *end == '\0';
}

static int resolve(const char *text, struct addrinfo **list)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
        const char *colon = strrchr(text, ':');
        size_t len = colon != NULL ? (size_t)(colon - text) : 0;
        char host[64];
        int result;

        if (len == 0 || len >= sizeof host || !parse_port(colon + 1))
                return -EINVAL;
        memcpy(host, text, len);
        host[len] = '\0';
        if (host[0] == '[' && host[len - 1] == ']') {
                host[len - 1] = '\0';
                memmove(host, host + 1, len - 1);
        }
        result = getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, colon + 1, &hints,
                             list);
        return result == 0 ? 0 : result == EAI_MEMORY ? -ENOMEM : -EINVAL;
}

int bound_open(const char *text, struct bound *out)
{
        struct addrinfo *list = NULL;
        int result;

        *out = (struct bound){.port = 0};
        if (strncmp(text, "unix:", 5) == 0)
                return open_path(text + 5, out);
        result = resolve(text, &list);
        if (result < 0)
                return result;
        result = bind_listen(list->ai_addr, list->ai_addrlen, out);
        freeaddrinfo(list);
        return result;
}

const char *bound_hint(int error)
{
        static const struct {
                int error;
                const char *hint;
        } hints[] = {
                {EADDRINUSE, "; choose another, or end what is there (ss -lp shows it)"},
                {EADDRNOTAVAIL, "; this machine has no such address (ip address shows them)"},
                {EACCES, "; choose a port above 1023, or a directory that exists and is yours"},
                {ENOENT, "; make the directory first"},
                {EMFILE, "; raise the limit on open files (ulimit -n)"},
                {ENFILE, "; raise the system's limit on open files (sysctl fs.file-max)"},
                {ENOSPC, "; raise the limit on watches (sysctl fs.epoll.max_user_watches)"},
        };

        for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
                if (hints[i].error == error)
                        return hints[i].hint;
        return "";
}

int bound_loopback(int family, struct bound *out)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(out->port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(out->port)};

        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        v6.sin6_addr = in6addr_loopback;
        if (family == AF_INET)
                return bind_listen((struct sockaddr *)&v4, sizeof v4, out);
        return bind_listen((struct sockaddr *)&v6, sizeof v6, out);
}

int bound_adopt(int fd, struct bound *out)
{
        struct sockaddr_storage name;
        socklen_t name_len = sizeof name, len = sizeof(int);
        int type = 0, listening = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM ||
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || listening == 0 ||
            getsockname(fd, (struct sockaddr *)&name, &name_len) < 0 ||
            (name.ss_family != AF_INET && name.ss_family != AF_INET6 && name.ss_family != AF_UNIX))
                return -EINVAL;
        describe(&name, out);
        return 0;
}
