/* Numbers about the relay; see metrics.h. */
#include "net/metrics.h"
#include "net/flow.h"
#include "net/pipe.h"
#include "tapline_version.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utlist.h>

static const char *const kinds[METRICS_KINDS] = {[FLOW_REDIRECTED] = "redirected",
                                                 [FLOW_CONNECT] = "connect",
                                                 [FLOW_HTTP] = "http",
                                                 [FLOW_SOCKS] = "socks"};

static const char *const ends[METRICS_ENDS] = {"eof", "reset", "error", "refused"};

enum cause {
        CONNECTED,
        NAME,
        REFUSED,
        TIMEOUT,
        UNREACHABLE,
        PROXY_LOGIN,
        PROXY_STATUS,
        PROXY,
        OTHER
};

static const char *const causes[METRICS_CAUSES] = {
        [CONNECTED] = "connected",
        [NAME] = "name_not_resolved",
        [REFUSED] = "refused",
        [TIMEOUT] = "timeout",
        [UNREACHABLE] = "unreachable",
        [PROXY_LOGIN] = "proxy_login",
        [PROXY_STATUS] = "proxy_refused",
        [PROXY] = "proxy_failed",
        [OTHER] = "other",
};

static enum cause of_errno(int error)
{
        switch (error) {
        case ECONNREFUSED:
                return REFUSED;
        case ETIMEDOUT:
                return TIMEOUT;
        case ENETUNREACH:
        case EHOSTUNREACH:
                return UNREACHABLE;
        default:
                return OTHER;
        }
}

static enum cause of_result(const struct dial_result *result)
{
        switch (result->stage) {
        case DIAL_DONE:
                return CONNECTED;
        case DIAL_RESOLVE:
                return NAME;
        case DIAL_CONNECT:
                return of_errno(result->error);
        case DIAL_PROXY:
                return result->proxy_status == 407 ? PROXY_LOGIN
                       : result->proxy_status != 0 ? PROXY_STATUS
                                                   : PROXY;
        }
        return OTHER;
}

void metrics_dialled(const struct flow *flow, const struct dial_result *result)
{
        flow->relay->metrics.dials[flow->via != NULL][of_result(result)]++;
}

static uint64_t from_client(const struct flow *flow)
{
        return flow->intercept != NULL ? intercept_client_bytes(flow->intercept)
                                       : side_received(&flow->client);
}

static uint64_t from_server(const struct flow *flow)
{
        return flow->intercept != NULL ? intercept_server_bytes(flow->intercept)
                                       : side_received(&flow->server);
}

void metrics_closed(const struct flow *flow, const struct flow_end *end)
{
        struct metrics *m = &flow->relay->metrics;
        size_t how = 0;

        while (how < METRICS_ENDS - 1 && strcmp(ends[how], end->how) != 0)
                how++;
        m->closed[flow->kind][how]++;
        m->opened[flow->kind]++;
        m->client_to_server += from_client(flow);
        m->server_to_client += from_server(flow);
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(FILE *out, const char *name, const char *type, const char *help, double value)
{
        head(out, name, type, help);
        fprintf(out, "%s %.17g\n", name, value);
}

struct now {
        uint64_t by_kind[METRICS_KINDS], by_state[FLOW_CLOSED + 1];
        uint64_t client_to_server, server_to_client;
};

/* A flow's kind is known for good when it has ended, so the open ones are counted now. */
static void count_open(const struct relay *relay, struct now *now)
{
        const struct flow *flow;

        memset(now, 0, sizeof *now);
        DL_FOREACH (relay->flows, flow) {
                if (flow->state == FLOW_CLOSED)
                        continue;
                now->by_kind[flow->kind]++;
                now->by_state[flow->state]++;
                now->client_to_server += from_client(flow);
                now->server_to_client += from_server(flow);
        }
}

static void print_flows(FILE *out, const struct metrics *m, const struct now *now)
{
        static const char *const states[] = {
                [FLOW_HEAD] = "head",           [FLOW_DIALLING] = "dialling",
                [FLOW_JOINING] = "joining",     [FLOW_TUNNEL] = "tunnel",
                [FLOW_INTERCEPT] = "intercept", [FLOW_ANSWER] = "answer",
                [FLOW_FORWARD] = "forward",
        };

        head(out, "tapline_connections_open", "gauge", "Connections that are open, by state.");
        for (size_t i = 0; i < sizeof states / sizeof *states; i++)
                fprintf(out, "tapline_connections_open{state=\"%s\"} %llu\n", states[i],
                        (unsigned long long)now->by_state[i]);
        head(out, "tapline_connections_total", "counter",
             "Connections of clients and programs so far, open ones included, by kind.");
        for (size_t i = 0; i < METRICS_KINDS; i++)
                fprintf(out, "tapline_connections_total{kind=\"%s\"} %llu\n", kinds[i],
                        (unsigned long long)m->opened[i] + now->by_kind[i]);
        head(out, "tapline_connections_closed_total", "counter",
             "Connections that have ended, by kind and how.");
        for (size_t i = 0; i < METRICS_KINDS; i++)
                for (size_t k = 0; k < METRICS_ENDS; k++)
                        fprintf(out,
                                "tapline_connections_closed_total{kind=\"%s\",how=\"%s\"} %llu\n",
                                kinds[i], ends[k], (unsigned long long)m->closed[i][k]);
        head(out, "tapline_bytes_total", "counter",
             "Bytes that were received, beneath TLS, by direction.");
        fprintf(out,
                "tapline_bytes_total{direction=\"client_to_server\"} %llu\n"
                "tapline_bytes_total{direction=\"server_to_client\"} %llu\n",
                (unsigned long long)m->client_to_server + now->client_to_server,
                (unsigned long long)m->server_to_client + now->server_to_client);
}

static void print_dials(FILE *out, const struct metrics *m)
{
        head(out, "tapline_dials_total", "counter",
             "Attempts to reach a target that have ended, by way out and result.");
        for (size_t via = 0; via < 2; via++)
                for (size_t i = 0; i < METRICS_CAUSES; i++)
                        fprintf(out, "tapline_dials_total{via=\"%s\",result=\"%s\"} %llu\n",
                                via != 0 ? "proxy" : "direct", causes[i],
                                (unsigned long long)m->dials[via][i]);
}

static void print_relay(FILE *out, const struct relay *relay)
{
        const struct metrics *m = &relay->metrics;

        head(out, "tapline_build_info", "gauge", "The program's version.");
        fputs("tapline_build_info{version=\"" TAPLINE_VERSION "\"} 1\n", out);
        head(out, "tapline_clients_refused_total", "counter",
             "Clients that may not use the relay, by what was wrong.");
        fprintf(out,
                "tapline_clients_refused_total{reason=\"address\"} %llu\n"
                "tapline_clients_refused_total{reason=\"login\"} %llu\n",
                (unsigned long long)m->strangers, (unsigned long long)m->bad_logins);
        single(out, "tapline_accept_waits_total", "counter",
               "Times that new clients had to wait for room.", (double)m->waits);
        single(out, "tapline_accept_waiting", "gauge", "1 while new clients have to wait.",
               relay->paused);
        single(out, "tapline_draining", "gauge", "1 once the relay has been told to stop.",
               relay->draining);
        head(out, "tapline_reloads_total", "counter",
             "Times that the configuration was read again, by result.");
        fprintf(out,
                "tapline_reloads_total{result=\"ok\"} %llu\n"
                "tapline_reloads_total{result=\"failed\"} %llu\n",
                (unsigned long long)m->reloads, (unsigned long long)m->failed_reloads);
        single(out, "tapline_tunnels_moved_total", "counter",
               "Busy tunnels that were handed to a worker thread.", (double)m->moved);
        single(out, "tapline_pipes", "gauge", "Pipes for splicing, in use or kept.",
               (double)pipe_pool_count(relay->pipes));
        single(out, "tapline_record_dropped_total", "counter",
               "Events that could not be written to the record.",
               (double)record_dropped(relay->record));
}

static double count_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        double count = 0;

        if (dir == NULL)
                return 0;
        while (readdir(dir) != NULL)
                count++;
        closedir(dir);
        return count - 3; /* ".", "..", and the directory itself */
}

static double resident_bytes(void)
{
        FILE *in = fopen("/proc/self/statm", "re");
        unsigned long size, resident = 0;

        if (in == NULL)
                return 0;
        if (fscanf(in, "%lu %lu", &size, &resident) != 2)
                resident = 0;
        fclose(in);
        return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* The names that client libraries of Prometheus use for these. */
static void print_process(FILE *out, const struct relay *relay)
{
        struct rusage usage = {.ru_utime = {0}};

        getrusage(RUSAGE_SELF, &usage);
        single(out, "process_cpu_seconds_total", "counter", "User and system time spent.",
               (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
        single(out, "process_open_fds", "gauge", "Open file descriptors.", count_descriptors());
        single(out, "process_max_fds", "gauge", "The limit on open file descriptors.",
               (double)relay->fd_limit);
        single(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
}

char *metrics_text(const struct relay *relay, size_t *len)
{
        struct now now;
        char *text = NULL;
        FILE *out = open_memstream(&text, len);

        if (out == NULL)
                return NULL;
        count_open(relay, &now);
        print_relay(out, relay);
        print_flows(out, &relay->metrics, &now);
        print_dials(out, &relay->metrics);
        print_process(out, relay);
        if (fclose(out) == 0)
                return text;
        free(text);
        return NULL;
}
