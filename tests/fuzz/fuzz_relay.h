/* A relay for the targets that need a whole one: it has a proxy that looks names up, but dials
 * nothing, since all hosts are on the bypass list, and its record goes nowhere. */
#ifndef FUZZ_RELAY_H
#define FUZZ_RELAY_H

#include "fuzz.h"

#include "net/relay.h"

static char fuzz_relay_path[64]; /* of its control socket */

static struct relay *fuzz_relay(void)
{
        static struct relay *relay;
        static struct record *record;
        static struct relay_options options;
        static struct routing routing;
        struct upstream *proxy;
        const char *why;
        char *bad = NULL;

        if (relay != NULL)
                return relay;
        snprintf(fuzz_relay_path, sizeof fuzz_relay_path, "/tmp/fuzz-%d.sock", (int)getpid());
        if (record_open(&record, "/dev/null") < 0 ||
            upstream_parse("http://127.0.0.1:9", &proxy, &why) < 0)
                abort();
        routing = (struct routing){.https = proxy, .http = proxy};
        options = (struct relay_options){.socket_path = fuzz_relay_path,
                                         .bypass = host_list_parse("*", &bad),
                                         .routing = &routing,
                                         .record = record,
                                         .lifetime_fd = -1,
                                         .ready_fd = -1};
        if (relay_new(&relay, &options) < 0)
                abort();
        return relay;
}

#endif
