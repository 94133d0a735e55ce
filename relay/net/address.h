/* Internet addresses: the wire's form, the socket's, and text. Pure. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "tapline_wire.h"

#include <stdbool.h>
#include <sys/socket.h>

/* To the socket's form; returns its length. */
socklen_t address_to_socket(const struct wire_addr *from, struct sockaddr_storage *out);

/* From the socket's form; v4-mapped becomes AF_INET. */
void address_from_socket(const struct sockaddr *from, struct wire_addr *out);

/* From a literal ("192.0.2.1", "2001:db8::1"; no scope). Returns false if text is none. */
bool address_from_literal(const char *text, uint16_t port, struct wire_addr *out);

/* The literal, "" for an address of no family; out holds at least 64 bytes. */
void address_literal(const struct wire_addr *from, char *out);

#endif
