/* Load for the soak tests: many clients of a proxy in one process, or the origin that echoes to
 * them.
 *
 *   load origin                                prints its port, echoes until it is ended
 *   load clients PROXY_PORT TARGET_PORT KEY=NUMBER...   prints what became of them as JSON
 *
 * A client connects to the proxy, asks with CONNECT, and then makes rounds: it sends bytes that
 * only it can have sent, waits until all of them have come back, and pauses. Then it ends its side
 * in order and waits for the end of the other. SIGUSR1 ends all pauses, lets no client begin, and
 * makes each client's round its last. Whatever differs from that is counted by its kind:
 * an orderly end in the middle ("cut") or bytes that differ ("wrong") are what must never happen.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        BATCH = 512,
        BUFFER = 65536,
        HEAD_CAP = 1024,
        SOURCES = 200, /* loopback addresses that clients come from: one has too few ports */
        TICK_MS = 20,
        LATENCIES = 1 << 20,
};

static struct {
        uint64_t total, at_once, opening, bytes, rounds, pause_ms, seconds, timeout_ms, deaf;
        uint16_t proxy, target;
} want = {.total = 1000,
          .at_once = 100,
          .opening = 200,
          .bytes = 64,
          .rounds = 1,
          .timeout_ms = 30000};

enum state { CONNECTING, ASKED, SENDING, PAUSED, ENDING, OVER };

struct client {
        int fd; /* owned */
        enum state state;
        bool deaf_full;
        uint64_t id, round, sent, received;
        int64_t start_us, since_us; /* of everything; of this state */
        size_t head_len;
        char head[HEAD_CAP];
        struct client *next;
};

static struct {
        uint64_t ok, refused, reset, cut, wrong, timeout, other, connects, bytes;
        uint64_t status[600];
        uint32_t latency_us[LATENCIES]; /* until the first byte through the tunnel could go */
        uint64_t latencies;
} count;

static int epoll_fd;
static struct client *clients; /* owned list */
static uint64_t open_now, opening_now;
static int64_t start_us;
static volatile sig_atomic_t told_to_end;
static char pattern[BUFFER + 256], buffer[BUFFER];

static int64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void enter(struct client *c, enum state state)
{
        opening_now -= c->state <= ASKED && state > ASKED;
        c->state = state;
        c->since_us = now_us();
}

static void over(struct client *c, uint64_t *counter)
{
        if (c->state == OVER)
                return;
        ++*counter;
        enter(c, OVER);
        close(c->fd);
        c->fd = -1;
        open_now--;
}

static void failed(struct client *c, int error)
{
        over(c, error == ECONNREFUSED                   ? &count.refused
                : error == ECONNRESET || error == EPIPE ? &count.reset
                                                        : &count.other);
}

static void told(int number)
{
        (void)number;
        told_to_end = 1;
}

static bool time_is_up(void)
{
        return told_to_end ||
               (want.seconds != 0 && now_us() - start_us > (int64_t)want.seconds * 1000000);
}

static bool pause_is_over(const struct client *c, int64_t now)
{
        return told_to_end || now - c->since_us > (int64_t)want.pause_ms * 1000;
}

/* Each client's bytes, and each round's, begin elsewhere in the pattern. */
static const char *expected(const struct client *c, uint64_t at)
{
        return pattern + (c->id * 31 + c->round * 7 + at) % 251;
}

static void send_round(struct client *c)
{
        while (c->sent < want.bytes || want.deaf != 0) {
                size_t left = want.deaf != 0 ? BUFFER - 256 : want.bytes - c->sent;
                ssize_t n = send(c->fd, expected(c, c->sent),
                                 left < BUFFER - 256 ? left : BUFFER - 256, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        failed(c, errno);
                        return;
                }
                c->sent += (uint64_t)n;
        }
}

static void begin_round(struct client *c)
{
        c->sent = c->received = 0;
        enter(c, SENDING);
        send_round(c);
}

static void round_done(struct client *c)
{
        c->round++;
        count.bytes += want.bytes;
        if (c->round >= want.rounds || time_is_up()) {
                enter(c, ENDING);
                shutdown(c->fd, SHUT_WR);
        } else if (want.pause_ms != 0) {
                enter(c, PAUSED);
        } else {
                begin_round(c);
        }
}

static void answered(struct client *c)
{
        unsigned status = 0;

        if (sscanf(c->head, "HTTP/1.%*c %3u", &status) != 1 || status > 599)
                status = 0;
        count.status[status]++;
        if (status != 200) {
                over(c, &count.other);
                return;
        }
        if (count.latencies < LATENCIES)
                count.latency_us[count.latencies++] = (uint32_t)(now_us() - c->start_us);
        begin_round(c);
}

/* A byte at a time would be slow, and nothing follows the head before we have spoken. */
static void read_head(struct client *c)
{
        ssize_t n = recv(c->fd, c->head + c->head_len, HEAD_CAP - 1 - c->head_len, 0);

        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0) {
                if (n < 0)
                        failed(c, errno);
                else
                        over(c, &count.cut);
                return;
        }
        c->head_len += (size_t)n;
        c->head[c->head_len] = '\0';
        if (strstr(c->head, "\r\n\r\n") != NULL)
                answered(c);
}

static bool check(struct client *c, size_t n)
{
        if (c->state != SENDING || c->received + n > c->sent)
                return false;
        for (size_t done = 0; done < n;) {
                size_t part = n - done < BUFFER - 256 ? n - done : BUFFER - 256;

                if (memcmp(buffer + done, expected(c, c->received), part) != 0)
                        return false;
                c->received += part;
                done += part;
        }
        return true;
}

static void read_echo(struct client *c)
{
        while (c->state == SENDING || c->state == PAUSED || c->state == ENDING) {
                ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0)
                        failed(c, errno);
                else if (n == 0)
                        over(c, c->state == ENDING ? &count.ok : &count.cut);
                else if (!check(c, (size_t)n))
                        over(c, &count.wrong);
                else if (c->received == want.bytes)
                        round_done(c);
        }
}

static void ask(struct client *c)
{
        char head[128];
        int error = 0, len;
        socklen_t error_len = sizeof error;

        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
        if (error != 0) {
                failed(c, error);
                return;
        }
        len = snprintf(head, sizeof head,
                       "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", want.target,
                       want.target);
        if (send(c->fd, head, (size_t)len, MSG_NOSIGNAL) != len)
                failed(c, errno);
        else
                enter(c, ASKED);
}

static void drive(struct client *c, uint32_t events)
{
        if (c->state == CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
                ask(c);
        if (c->state == ASKED && (events & EPOLLIN) != 0)
                read_head(c);
        if (c->state == SENDING && (events & EPOLLOUT) != 0)
                send_round(c);
        if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 &&
            (want.deaf == 0 || (events & EPOLLERR) != 0))
                read_echo(c);
}

static bool open_client(void)
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(want.proxy)}, from = to;
        struct client *c = calloc(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
        int one = 1;

        if (c == NULL)
                return false;
        c->id = count.connects;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        from.sin_port = 0;
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(c->id % SOURCES));
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->fd < 0) {
                free(c);
                return false;
        }
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        event.data.ptr = c;
        c->start_us = c->since_us = now_us();
        c->next = clients;
        clients = c;
        count.connects++;
        open_now++;
        opening_now++;
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
            (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
                failed(c, errno);
        else
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
        return true;
}

/* Pauses that are over, waits that are too long, and those that have ended. */
static void tick(void)
{
        int64_t now = now_us();

        for (struct client **at = &clients; *at != NULL;) {
                struct client *c = *at;

                if (c->state == OVER) {
                        *at = c->next;
                        free(c);
                        continue;
                }
                if (c->state == PAUSED && pause_is_over(c, now))
                        begin_round(c);
                else if (want.deaf != 0 && c->state == SENDING && time_is_up())
                        over(c, &count.ok);
                else if (want.deaf == 0 && c->state != PAUSED &&
                         now - c->since_us > (int64_t)want.timeout_ms * 1000)
                        over(c, &count.timeout);
                at = &c->next;
        }
}

static int compare(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static void report(void)
{
        const char *comma = "";

        qsort(count.latency_us, count.latencies, sizeof *count.latency_us, compare);
        printf("{\"clients\": %llu, \"ok\": %llu, \"refused\": %llu, \"reset\": %llu, \"cut\": "
               "%llu, "
               "\"wrong\": %llu, \"timeout\": %llu, \"other\": %llu, \"bytes\": %llu, \"seconds\": "
               "%.3f, ",
               (unsigned long long)count.connects, (unsigned long long)count.ok,
               (unsigned long long)count.refused, (unsigned long long)count.reset,
               (unsigned long long)count.cut, (unsigned long long)count.wrong,
               (unsigned long long)count.timeout, (unsigned long long)count.other,
               (unsigned long long)count.bytes, (double)(now_us() - start_us) / 1e6);
        if (count.latencies > 0)
                printf("\"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u, ",
                       count.latency_us[count.latencies / 2],
                       count.latency_us[count.latencies * 99 / 100],
                       count.latency_us[count.latencies - 1]);
        printf("\"status\": {");
        for (unsigned i = 0; i < 600; i++) {
                if (count.status[i] == 0)
                        continue;
                printf("%s\"%u\": %llu", comma, i, (unsigned long long)count.status[i]);
                comma = ", ";
        }
        printf("}}\n");
}

static int run_clients(void)
{
        struct epoll_event events[BATCH];
        int64_t last_tick = 0;

        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        for (size_t i = 0; i < sizeof pattern; i++)
                pattern[i] = (char)(i % 251);
        start_us = now_us();
        while (clients != NULL || (count.connects < want.total && !time_is_up())) {
                int n;

                while (count.connects < want.total && open_now < want.at_once &&
                       opening_now < want.opening && !time_is_up())
                        if (!open_client())
                                return 1;
                n = epoll_wait(epoll_fd, events, BATCH, TICK_MS);
                for (int i = 0; i < n; i++)
                        drive(events[i].data.ptr, events[i].events);
                if (now_us() - last_tick > TICK_MS * 1000) {
                        tick();
                        last_tick = now_us();
                }
        }
        report();
        return 0;
}

static bool set(const char *argument)
{
        static const struct {
                const char *name;
                uint64_t *value;
        } keys[] = {{"total", &want.total},     {"at_once", &want.at_once},
                    {"opening", &want.opening}, {"bytes", &want.bytes},
                    {"rounds", &want.rounds},   {"pause_ms", &want.pause_ms},
                    {"seconds", &want.seconds}, {"timeout_ms", &want.timeout_ms},
                    {"deaf", &want.deaf}};
        const char *equals = strchr(argument, '=');

        for (size_t i = 0; equals != NULL && i < sizeof keys / sizeof *keys; i++)
                if (strncmp(keys[i].name, argument, (size_t)(equals - argument)) == 0 &&
                    keys[i].name[equals - argument] == '\0') {
                        *keys[i].value = strtoull(equals + 1, NULL, 10);
                        return true;
                }
        return false;
}

static void raise_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
        signal(SIGPIPE, SIG_IGN);
        signal(SIGUSR1, told);
        raise_limit();
        if (argc < 3)
                return 2;
        want.proxy = (uint16_t)atoi(argv[1]);
        want.target = (uint16_t)atoi(argv[2]);
        for (int i = 3; i < argc; i++)
                if (!set(argv[i])) {
                        fprintf(stderr, "load: %s is not understood\n", argv[i]);
                        return 2;
                }
        return run_clients();
}
