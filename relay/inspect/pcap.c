/* pcap.c: writes pcapng (draft-ietf-opsawg-pcapng); see pcap.h. Owns the made-up TCP: sequence
 * numbers that follow the bytes, a handshake in front. Packets wait in memory until the secrets
 * that decrypt them are known, so that a reader finds these first. */
#include "inspect/pcap.h"
#include "inspect/secret_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        BLOCK_SECTION = 0x0a0d0d0a,
        BLOCK_INTERFACE = 1,
        BLOCK_PACKET = 6,
        BLOCK_SECRETS = 10,
        BYTE_ORDER_MAGIC = 0x1a2b3c4d,
        LINKTYPE_RAW = 101,
        SECRETS_TLS = 0x544c534b,
        SEGMENT = 32768,
        PENDING_CAP =
                1 << 20, /* no handshake is longer; what is goes without its secrets in front */
        TCP_FIN = 0x01,
        TCP_SYN = 0x02,
        TCP_PSH = 0x08,
        TCP_ACK = 0x10,
};

struct pcap {
        int fd; /* owned */
        bool told;
};

struct bytes {
        char *data; /* owned */
        size_t len, cap;
};

struct pcap_leg {
        struct pcap *file; /* borrowed */
        /* [0]: who opened the connection, [1]: the other */
        struct sockaddr_storage address[2];
        uint32_t next[2]; /* sequence numbers */
        bool peer;        /* index of the peer's side */
        bool ready;
        struct bytes pending; /* blocks */
        struct bytes secrets; /* lines */
};

static int append(struct bytes *b, const void *data, size_t len)
{
        if (b->len + len > b->cap) {
                size_t cap = (b->len + len) * 2;
                char *more = realloc(b->data, cap);
                if (!more)
                        return -ENOMEM;
                b->data = more;
                b->cap = cap;
        }
        memcpy(b->data + b->len, data, len);
        b->len += len;
        return 0;
}

static void write_out(struct pcap *p, const void *data, size_t len)
{
        int error = secret_file_write(p->fd, data, len);

        if (error < 0 && !p->told)
                fprintf(stderr, "tapline: cannot write the capture: %s\n", strerror(-error));
        p->told |= error < 0;
}

/* A block (section 3.1) of what is in parts, to out. */
static void add_block(struct bytes *out, uint32_t type, const void *head, size_t head_len,
                      const void *body, size_t body_len)
{
        static const char zeros[4];
        size_t pad = -(head_len + body_len) & 3;
        uint32_t total = (uint32_t)(12 + head_len + body_len + pad);

        append(out, &type, 4);
        append(out, &total, 4);
        append(out, head, head_len);
        if (body_len)
                append(out, body, body_len);
        append(out, zeros, pad);
        append(out, &total, 4);
}

struct pcap *pcap_new(const char *path)
{
        struct {
                uint32_t magic;
                uint16_t major, minor;
                int32_t length[2];
        } section = {BYTE_ORDER_MAGIC, 1, 0, {-1, -1}};
        struct {
                uint16_t link, reserved;
                uint32_t snap;
        } interface = {LINKTYPE_RAW, 0, 0};
        int fd = secret_file_open(path, true);
        struct pcap *p = fd >= 0 ? calloc(1, sizeof *p) : NULL;
        struct bytes out = {0};

        if (!p) {
                errno = fd < 0 ? -fd : ENOMEM;
                return NULL;
        }
        p->fd = fd;
        add_block(&out, BLOCK_SECTION, &section, sizeof section, NULL, 0);
        add_block(&out, BLOCK_INTERFACE, &interface, sizeof interface, NULL, 0);
        write_out(p, out.data, out.len);
        free(out.data);
        return p;
}

void pcap_free(struct pcap *p)
{
        if (!p)
                return;
        close(p->fd);
        free(p);
}

/* ---- made-up packets ---- */

static uint32_t sum(uint32_t total, const void *data, size_t len)
{
        const uint8_t *at = data;

        for (size_t i = 0; i < len; i++)
                total += i & 1 ? at[i] : (uint32_t)at[i] << 8;
        return total;
}

static uint16_t checksum(uint32_t total)
{
        while (total >> 16)
                total = (total & 0xffff) + (total >> 16);
        return htons((uint16_t)~total);
}

static void put16(uint8_t *at, unsigned n)
{
        at[0] = (uint8_t)(n >> 8);
        at[1] = (uint8_t)n;
}

static void put32(uint8_t *at, uint32_t n)
{
        put16(at, n >> 16);
        put16(at + 2, n & 0xffff);
}

static const void *address_bytes(const struct sockaddr_storage *a, size_t *len, in_port_t *port)
{
        const struct sockaddr_in6 *v6 = (const void *)a;
        const struct sockaddr_in *v4 = (const void *)a;

        *len = a->ss_family == AF_INET6 ? 16 : 4;
        *port = a->ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port;
        return a->ss_family == AF_INET6 ? (const void *)&v6->sin6_addr : &v4->sin_addr;
}

/* IP and TCP headers. Returns their length. */
static size_t make_headers(const struct pcap_leg *leg, int from, unsigned flags, const void *data,
                           size_t len, uint8_t out[60])
{
        bool v6 = leg->address[0].ss_family == AF_INET6;
        size_t ip_len = v6 ? 40 : 20, address_len;
        uint8_t *ip = out, *tcp = out + ip_len;
        in_port_t port;

        memset(out, 0, 60);
        ip[0] = v6 ? 0x60 : 0x45;
        put16(ip + (v6 ? 4 : 2), (unsigned)((v6 ? 0 : 20) + 20 + len));
        ip[v6 ? 7 : 8] = 64;
        ip[v6 ? 6 : 9] = IPPROTO_TCP;
        for (int end = 0; end < 2; end++) {
                const void *bytes =
                        address_bytes(&leg->address[end ? !from : from], &address_len, &port);
                memcpy(ip + (v6 ? 8 : 12) + (size_t)end * address_len, bytes, address_len);
                memcpy(tcp + 2 * end, &port, 2);
        }
        if (!v6) {
                uint16_t ip_sum = checksum(sum(0, ip, 20));
                memcpy(ip + 10, &ip_sum, 2);
        }
        put32(tcp + 4, leg->next[from]);
        put32(tcp + 8, flags & TCP_ACK ? leg->next[!from] : 0);
        tcp[12] = 5 << 4;
        tcp[13] = (uint8_t)flags;
        put16(tcp + 14, 65535);
        uint32_t total = sum(IPPROTO_TCP + 20 + (uint32_t)len, ip + (v6 ? 8 : 12), 2 * address_len);
        uint16_t tcp_sum = checksum(sum(sum(total, tcp, 20), data, len));
        memcpy(tcp + 16, &tcp_sum, 2);
        return ip_len + 20;
}

static void add_packet(struct pcap_leg *leg, int from, unsigned flags, const void *data, size_t len)
{
        struct timespec now;
        struct {
                uint32_t interface, high, low, captured, length;
                uint8_t headers[60];
        } head = {0};
        struct bytes one = {0}, *out = leg->ready ? &one : &leg->pending;

        clock_gettime(CLOCK_REALTIME, &now);
        uint64_t us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
        size_t headers = make_headers(leg, from, flags, data, len, head.headers);
        head.high = (uint32_t)(us >> 32);
        head.low = (uint32_t)us;
        head.captured = head.length = (uint32_t)(headers + len);
        add_block(out, BLOCK_PACKET, &head, offsetof(typeof(head), headers) + headers, data, len);
        leg->next[from] += (uint32_t)len + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
        if (leg->ready)
                write_out(leg->file, one.data, one.len);
        free(one.data);
}

/* ---- legs ---- */

struct pcap_leg *pcap_leg_new(struct pcap *p, int fd, bool we_are_server)
{
        struct pcap_leg *leg = calloc(1, sizeof *leg);
        socklen_t peer_len = sizeof leg->address[0], own_len = peer_len;

        if (!leg)
                return NULL;
        leg->file = p;
        leg->peer = we_are_server ? 0 : 1;
        if (getpeername(fd, (struct sockaddr *)&leg->address[leg->peer], &peer_len) < 0 ||
            getsockname(fd, (struct sockaddr *)&leg->address[!leg->peer], &own_len) < 0 ||
            leg->address[0].ss_family != leg->address[1].ss_family ||
            (leg->address[0].ss_family != AF_INET && leg->address[0].ss_family != AF_INET6)) {
                free(leg);
                return NULL;
        }
        add_packet(leg, 0, TCP_SYN, "", 0);
        add_packet(leg, 1, TCP_SYN | TCP_ACK, "", 0);
        add_packet(leg, 0, TCP_ACK, "", 0);
        return leg;
}

void pcap_leg_free(struct pcap_leg *leg)
{
        if (!leg)
                return;
        free(leg->pending.data);
        if (leg->secrets.data)
                memset(leg->secrets.data, 0, leg->secrets.len);
        free(leg->secrets.data);
        free(leg);
}

void pcap_leg_bytes(struct pcap_leg *leg, bool from_peer, const void *data, size_t len)
{
        const char *at = data;

        if (!leg)
                return;
        while (len) {
                size_t n = len < SEGMENT ? len : SEGMENT;
                add_packet(leg, from_peer ? leg->peer : !leg->peer, TCP_PSH | TCP_ACK, at, n);
                at += n;
                len -= n;
        }
        if (leg->pending.len > PENDING_CAP)
                pcap_leg_ready(leg);
}

void pcap_leg_secret(struct pcap_leg *leg, const char *line)
{
        if (!leg)
                return;
        append(&leg->secrets, line, strlen(line));
        append(&leg->secrets, "\n", 1);
}

void pcap_leg_ready(struct pcap_leg *leg)
{
        struct bytes out = {0};

        if (!leg || leg->ready)
                return;
        uint32_t head[2] = {SECRETS_TLS, (uint32_t)leg->secrets.len};
        if (leg->secrets.len)
                add_block(&out, BLOCK_SECRETS, head, sizeof head, leg->secrets.data,
                          leg->secrets.len);
        write_out(leg->file, out.data, out.len);
        write_out(leg->file, leg->pending.data, leg->pending.len);
        free(out.data);
        free(leg->pending.data);
        leg->pending = (struct bytes){0};
        leg->ready = true;
}

void pcap_leg_end(struct pcap_leg *leg, bool from_peer)
{
        if (leg)
                add_packet(leg, from_peer ? leg->peer : !leg->peer, TCP_FIN | TCP_ACK, "", 0);
}
