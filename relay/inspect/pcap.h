/* Captures of inspected connections with their keys, for Wireshark (pcapng; --pcap): the TLS
 * records as they went over both legs, in TCP segments made up for them, and a Decryption Secrets
 * Block in front of each leg. Nothing is caught from the network, so it needs no privilege and sees
 * no others'. */
#ifndef INSPECT_PCAP_H
#define INSPECT_PCAP_H

#include <stdbool.h>
#include <stddef.h>

struct pcap; /* a file */
struct pcap_leg;

/* Begin a new file at path (secret_file.h). Returns NULL with errno. Caller owns. */
struct pcap *pcap_new(const char *path);
void pcap_free(struct pcap *p); /* NULL allowed */

/* One leg: fd is its socket; we_are_server: the peer opened it. Returns NULL when out of memory or
 * without addresses. Caller owns; p must outlive it. */
struct pcap_leg *pcap_leg_new(struct pcap *p, int fd, bool we_are_server);
/* What was not complete (pcap_leg_ready was not called) is not written. NULL allowed. */
void pcap_leg_free(struct pcap_leg *leg);

/* All four do nothing when leg is NULL. */
void pcap_leg_bytes(struct pcap_leg *leg, bool from_peer, const void *data, size_t len);
void pcap_leg_secret(struct pcap_leg *leg, const char *line); /* of the NSS key log, no newline */
void pcap_leg_ready(struct pcap_leg *leg); /* the handshake is through: its secrets are all there */
void pcap_leg_end(struct pcap_leg *leg, bool from_peer); /* one direction has ended */

#endif
