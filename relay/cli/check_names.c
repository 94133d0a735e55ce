/* Name servers: each one of resolv.conf(5) is asked for the root's own servers, which every one
 * knows and which names no host. Where a proxy looks names up, it does without. */
#include "cli/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVERS_MAX = 3, ANSWER_MS = 2000, ATTEMPTS = 2, DNS_PORT = 53 };

struct server {
        char text[64];
        struct sockaddr_storage address;
        socklen_t len;
};

/* An address as resolv.conf has it; "fe80::1%eth0" is left to the resolver. */
static bool parse_server(const char *text, struct server *out)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)&out->address;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->address;

        memset(out, 0, sizeof *out);
        snprintf(out->text, sizeof out->text, "%s", text);
        if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons(DNS_PORT);
                out->len = sizeof *v4;
        } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons(DNS_PORT);
                out->len = sizeof *v6;
        }
        return out->len != 0;
}

/* Without a file or a line in it, the resolver asks this machine. */
static size_t read_servers(struct server servers[SERVERS_MAX])
{
        FILE *in = fopen("/etc/resolv.conf", "re");
        char line[256], text[64];
        size_t count = 0;

        while (in != NULL && count < SERVERS_MAX && fgets(line, sizeof line, in) != NULL)
                if (sscanf(line, "nameserver %63s", text) == 1 &&
                    parse_server(text, &servers[count]))
                        count++;
        if (in != NULL)
                fclose(in);
        if (count == 0)
                count = parse_server("127.0.0.1", &servers[0]);
        return count;
}

/* RFC 1035 section 4: the header, and the question for NS of the root in class IN. */
static size_t make_query(unsigned char out[17])
{
        static const unsigned char query[17] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};

        memcpy(out, query, sizeof query);
        if (getrandom(out, 2, GRND_NONBLOCK) != 2)
                out[1] = 1;
        return sizeof query;
}

/* One question. Returns 0, or the errno that says why there is no answer. */
static int ask(const struct server *server)
{
        unsigned char query[17], answer[512];
        int fd = socket(server->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
        size_t len = make_query(query);
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (fd < 0)
                return errno;
        if (connect(fd, (const struct sockaddr *)&server->address, server->len) < 0 ||
            send(fd, query, len, 0) < 0) {
                error = errno;
        } else if (poll(&waiting, 1, ANSWER_MS / ATTEMPTS) <= 0) {
                error = ETIMEDOUT;
        } else {
                n = recv(fd, answer, sizeof answer, 0);
                if (n < 0)
                        error = errno;
                else if (n < 12 || memcmp(answer, query, 2) != 0 || (answer[2] & 0x80) == 0)
                        error = EPROTO;
        }
        close(fd);
        return error;
}

static int ask_patiently(const struct server *server)
{
        int error = ETIMEDOUT;

        for (int i = 0; i < ATTEMPTS && error == ETIMEDOUT; i++)
                error = ask(server);
        return error;
}

static void add_silence(struct check *check, const struct server *servers, const int *errors,
                        size_t count)
{
        bool proxied = check->way->https != NULL;
        struct check_item *item = check_add(check, "names", proxied ? CHECK_WARNING : CHECK_PROBLEM,
                                            "No name server answers, so no host can be found%s.",
                                            proxied ? " but by the proxy" : "");

        if (item == NULL)
                return;
        item->code = "resolver-unreachable";
        for (size_t i = 0; i < count; i++)
                text_add(&item->evidence, "name server %s: %s", servers[i].text,
                         strerror(errors[i]));
        check_advise(item, "Check the network connection, the VPN, and the name servers in "
                           "/etc/resolv.conf.");
}

void check_names(struct check *check)
{
        struct server servers[SERVERS_MAX];
        size_t count = read_servers(servers), silent = 0;
        int errors[SERVERS_MAX];

        for (size_t i = 0; i < count; i++) {
                errors[i] = ask_patiently(&servers[i]);
                silent += errors[i] != 0;
        }
        if (silent == count)
                add_silence(check, servers, errors, count);
        else if (errors[0] != 0)
                check_advise(check_add(check, "names", CHECK_WARNING,
                                       "The first name server, %s, does not answer (%s); each "
                                       "look-up waits for it.",
                                       servers[0].text, strerror(errors[0])),
                             "Take it out of /etc/resolv.conf.");
        else
                check_add(check, "names", CHECK_OK, "the name server %s answers", servers[0].text);
}
