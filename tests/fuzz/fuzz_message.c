/* net/control.c and message.c: packets that a program sends to the control socket. Nothing is
 * dialled: all hosts are on the bypass list. The input is a list of packets, each behind two bytes
 * of length; their heads are made valid, as far as the input does not say otherwise. */
#include "fuzz.h"

#include "net/control.h"
#include "net/relay.h"

#include <sys/socket.h>
#include <sys/un.h>

static char path[64];

static struct relay *relay_get(void)
{
        static struct relay *relay;
        static struct record *record;
        static struct relay_options options;
        char *bad = NULL;

        if (relay != NULL)
                return relay;
        snprintf(path, sizeof path, "/tmp/fuzz-message-%d.sock", (int)getpid());
        if (record_open(&record, "/dev/null") < 0)
                abort();
        options = (struct relay_options){.socket_path = path,
                                         .bypass = host_list_parse("*", &bad),
                                         .record = record,
                                         .lifetime_fd = -1,
                                         .ready_fd = -1};
        if (relay_new(&relay, &options) < 0)
                abort();
        return relay;
}

static void send_packet(const uint8_t *data, size_t len)
{
        static _Alignas(8) char packet[WIRE_MAX];
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        struct wire_head *head = (struct wire_head *)packet;
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        strcpy(to.sun_path, path);
        memset(packet, 0, sizeof *head);
        memcpy(packet, data, len);
        if (len >= sizeof *head && head->reserved % 8 != 7)
                *head = (struct wire_head){.magic = WIRE_MAGIC,
                                           .version = WIRE_VERSION,
                                           .type = head->type,
                                           .len = (uint32_t)len,
                                           .tid = head->tid,
                                           .time_ns = head->time_ns};
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && len > 0)
                send(fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        control_drain(relay_get());
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct relay *relay = relay_get();

        for (int i = 0; i < 8 && len > 2; i++) {
                size_t n = data[0] + 256u * data[1];

                n = n < len - 2 ? n : len - 2;
                n = n < WIRE_MAX ? n : WIRE_MAX;
                send_packet(data + 2, n);
                data += 2 + n;
                len -= 2 + n;
        }
        control_drain(relay);
        control_sweep(relay);
        flow_sweep(relay);
        return 0;
}
