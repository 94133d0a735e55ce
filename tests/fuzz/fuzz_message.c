/* net/control.c and message.c: packets that a program sends to the control socket. The input is a
 * list of packets, each behind two bytes of length; their heads are made valid, as far as the input
 * does not say otherwise. */
#include "fuzz_relay.h"

#include "net/control.h"

#include <sys/socket.h>
#include <sys/un.h>

static void send_packet(const uint8_t *data, size_t len)
{
        static _Alignas(8) char packet[WIRE_MAX];
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        struct wire_head *head = (struct wire_head *)packet;
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        strcpy(to.sun_path, fuzz_relay_path);
        memset(packet, 0, sizeof *head);
        memcpy(packet, data, len);
        if (len >= sizeof *head && head->seq % 8 != 7)
                *head = (struct wire_head){.magic = WIRE_MAGIC,
                                           .version = WIRE_VERSION,
                                           .type = head->type,
                                           .len = (uint32_t)len,
                                           .tid = head->tid,
                                           .time_ns = head->time_ns};
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && len > 0)
                send(fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        control_drain(fuzz_relay());
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct relay *relay = fuzz_relay();

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
