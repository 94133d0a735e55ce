/* net/rings.c: memory that a program shares with the relay and may write anything into. The input
 * is a list of slots: a byte that says how, two bytes of length, the packet. What the relay has
 * passed is all zero again, and its own position is what it says it has read. */
#include "fuzz_relay.h"

#include "net/control.h"
#include "net/rings.h"
#include "tapline_ring.h"

#include <sys/socket.h>

static struct ring *ring; /* our end */

/* Ask for one as the library does. */
static void ask(void)
{
        _Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))];
        char byte[sizeof(struct wire_head)];
        struct iovec part = {byte, sizeof byte};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = space,
                                 .msg_controllen = sizeof space};
        int ends[2], fd;

        if (ring != NULL)
                munmap(ring, sizeof *ring);
        REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
        rings_answer(fuzz_relay()->rings, getpid(), ends[0]);
        REQUIRE(recvmsg(ends[1], &message, MSG_CMSG_CLOEXEC) == sizeof byte);
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        REQUIRE(ftruncate(fd, 0) < 0); /* sealed */
        ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        REQUIRE(ring != MAP_FAILED && ring->state == RING_WATCHED);
        close(fd);
        close(ends[0]);
        close(ends[1]);
}

enum { AS_IT_IS = 1, WRONG_LEN = 2 };

static uint32_t put_slot(uint32_t at, unsigned how, const uint8_t *data, size_t len)
{
        _Alignas(8) static char packet[WIRE_MAX];
        struct ring_slot slot = {.len = (uint32_t)len << ((how & WRONG_LEN) != 0 ? how >> 3 : 0)};
        struct wire_head *head = (struct wire_head *)packet;

        memset(packet, 0, sizeof *head);
        memcpy(packet, data, len);
        if (len >= sizeof *head && (how & AS_IT_IS) == 0)
                *head = (struct wire_head){.magic = WIRE_MAGIC,
                                           .version = WIRE_VERSION,
                                           .type = WIRE_TAP,
                                           .len = (uint32_t)len,
                                           .seq = head->seq,
                                           .time_ns = head->time_ns};
        ring_copy_in(ring, at, &slot, sizeof slot);
        ring_copy_in(ring, at + (uint32_t)sizeof slot, packet, len);
        return at + ring_slot_size((uint32_t)len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct relay *relay = fuzz_relay();
        uint32_t at;

        if (ring == NULL || ring->state == RING_CLOSED)
                ask();
        at = ring->read;
        for (int i = 0; i < 16 && len > 3; i++) {
                size_t n = data[1] + 256u * data[2];

                n = n < len - 3 ? n : len - 3;
                n = n < WIRE_MAX ? n : WIRE_MAX;
                at = put_slot(at, data[0], data + 3, n);
                data += 3 + n;
                len -= 3 + n;
        }
        atomic_store(&ring->written, at + (len > 0 ? data[0] & 7u : 0));
        rings_look_before(relay->rings, getpid(), len > 1 ? data[1] : 0);
        rings_look(relay->rings);
        REQUIRE(ring->state == RING_CLOSED || ring->read == ring->written);
        control_sweep(relay);
        return 0;
}
