/* What is told and asked about the lookup of a name; see lookup.h. */
#include "lookup.h"
#include "config.h"
#include "control.h"
#include "text.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

/* Add an address behind those that are there, unless it is one of them. */
void lookup_add(struct lookup_packet *packet, const struct wire_addr *address)
{
        char *start = packet->rest + packet->lookup.name_len, *at = start;
        size_t count = packet->lookup.address_count;

        for (size_t i = 0; i < count; i++, at += sizeof *address)
                if (memcmp(at, address, sizeof *address) == 0)
                        return;
        if (count == LOOKUP_ADDRESSES_MAX)
                return;
        memcpy(at, address, sizeof *address);
        packet->lookup.address_count++;
}

void lookup_begin(struct lookup_packet *packet, const char *name)
{
        memset(&packet->lookup, 0, sizeof packet->lookup);
        packet->lookup.name_len = (uint16_t)text_len(name, NI_MAXHOST - 1);
        memcpy(packet->rest, name, packet->lookup.name_len);
}

int64_t lookup_now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void lookup_report(struct lookup_packet *packet, int result, int error, int64_t start_us)
{
        size_t rest_len =
                packet->lookup.name_len + packet->lookup.address_count * sizeof(struct wire_addr);

        packet->lookup.result = result;
        packet->lookup.error = result == EAI_SYSTEM ? error : 0;
        packet->lookup.duration_us = (uint32_t)(lookup_now_us() - start_us);
        control_report(WIRE_LOOKUP, &packet->lookup.head,
                       offsetof(struct lookup_packet, rest) + rest_len);
}

/* An address literal is no lookup: nothing is asked of anybody. */
static bool is_literal(const char *name)
{
        const char *at = name;

        while ((*at >= '0' && *at <= '9') || *at == '.')
                at++;
        return *at == '\0' || strchr(name, ':') != NULL;
}

bool lookup_is_one(const char *name)
{
        return config.ready && name != NULL && !is_literal(name);
}

struct name_packet {
        struct wire_name name;
        char text[NI_MAXHOST];
};

bool lookup_made_up(const char *name, int family, struct wire_addr *out)
{
        struct name_packet packet = {.name = {.family = (uint16_t)family}};
        struct wire_verdict verdict = {.state = WIRE_STATE_UNKNOWN};
        int control = control_is_stalled() ? -EAGAIN : control_open(), result;

        if (control < 0)
                return false;
        packet.name.name_len = (uint16_t)text_len(name, sizeof packet.text);
        memcpy(packet.text, name, packet.name.name_len);
        result = control_send(control, WIRE_NAME, &packet.name.head,
                              offsetof(struct name_packet, text) + packet.name.name_len);
        if (result == 0)
                result = control_verdict(control, &verdict, CONTROL_STALL_MS);
        control_close(control);
        if (result == -EAGAIN)
                control_stalled();
        *out = verdict.peer;
        return result == 0 && verdict.state == WIRE_STATE_OPEN &&
               (out->family == AF_INET || out->family == AF_INET6);
}

bool lookup_is_unknown(int result)
{
        return result == EAI_NONAME || result == EAI_NODATA || result == EAI_AGAIN ||
               result == EAI_FAIL;
}
