/* Does one thing of the relay COUNT times, without a network: drive_relay THING COUNT. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/recorder.h"
#include "net/head.h"
#include "net/route.h"
#include "record/mask.h"

#define HEAD                                                                                       \
        "Host: index.example\r\nUser-Agent: pip/26.2 {\"ci\":null}\r\nAccept-Encoding: gzip, "     \
        "deflate\r\n"                                                                              \
        "Accept: application/json, text/html; q=0.1\r\nConnection: keep-alive\r\n"

static const char request[] = "GET /simple/grove/?token=secret HTTP/1.1\r\n" HEAD
                              "Authorization: Basic dXNlcjpwYXNz\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n"
                             "ETag: \"0123456789abcdef\"\r\nCache-Control: max-age=600\r\n\r\nbody";
static const char connect_head[] = "CONNECT index.example:443 HTTP/1.1\r\nHost: "
                                   "index.example:443\r\nUser-Agent: curl/8\r\n\r\n";

static uint64_t numbers;
static struct record *record;
static struct recorder *recorder;
static struct host_list *list;

static void exchange(void)
{
        recorder_client(recorder, request, sizeof request - 1);
        recorder_server(recorder, answer, sizeof answer - 1);
}

static void parse_connect(void)
{
        static struct head head;
        struct authority to;

        if (head_parse_request(connect_head, sizeof connect_head - 1, &head) != HEAD_OK ||
            !authority_parse(head.target, 0, &to))
                exit(1);
}

static void match_list(void)
{
        if (host_list_match(list, "files.index.example", NULL, 443))
                exit(1);
}

static void write_event(void)
{
        struct event_who who = {.pid = 4242, .tid = 4242, .exe = "/usr/bin/python3.11"};
        struct event e;

        event_begin(&e, EVENT_CONNECT, &who, 7);
        event_str(&e, "kind", "redirected");
        event_str(&e, "name", "index.example");
        event_str(&e, "address", "192.0.2.7");
        event_int(&e, "port", 443);
        record_write(record, &e);
}

static const struct {
        const char *name;
        void (*once)(void);
} things[] = {{"http-exchange-recorded", exchange},
              {"connect-head", parse_connect},
              {"no-proxy-match", match_list},
              {"event-written", write_event}};

int main(int argc, char **argv)
{
        struct recorder_origin origin = {.next_request = &numbers,
                                         .flow = 1,
                                         .scheme = "https",
                                         .host = "index.example",
                                         .port = 443,
                                         .source = "relay"};
        char *bad = NULL;

        if (argc != 3 || record_open(&record, "/dev/null") < 0)
                return 2;
        origin.record = record;
        recorder = recorder_new(&origin);
        list = host_list_parse("localhost,127.0.0.0/8,::1,.corp.example,10.0.0.0/8,git.example:22",
                               &bad);
        if (recorder == NULL || list == NULL)
                return 2;
        for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
                if (strcmp(things[i].name, argv[1]) != 0)
                        continue;
                for (int n = atoi(argv[2]); n > 0; n--)
                        things[i].once();
                record_free(record);
                return 0;
        }
        fprintf(stderr, "drive_relay: no such thing: %s\n", argv[1]);
        return 2;
}
