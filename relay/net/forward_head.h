/* Heads of forwarded messages as the next hop gets them (RFC 9110 section 7, RFC 9112): what ends
 * at this hop is left out, Via is added, the target takes the next hop's form. Pure but for the
 * time in Date. */
#ifndef NET_FORWARD_HEAD_H
#define NET_FORWARD_HEAD_H

#include "net/body.h"
#include "net/head.h"

#include <stdio.h>

/* An absolute-form target, taken apart. Points into the head. */
struct forward_target {
        struct text authority; /* as written */
        struct text path;      /* with the query; may be empty */
        struct authority to;
};

/* Take "http://authority/path" apart. Returns false if there is no valid host and port. */
bool forward_target_parse(struct text target, struct forward_target *out);

struct forward_request {
        const struct head *head;
        const struct forward_target *target;
        bool to_proxy;             /* absolute-form stays */
        const char *authorization; /* for Proxy-Authorization, or NULL */
        const char *via;           /* our pseudonym, or NULL: no Via */
};

struct forward_response {
        const struct head *head;
        const struct body *body;
        bool chunked; /* the client gets the chunked coding as it came */
        bool upgrade; /* it is the 101 that was asked for */
        bool close;   /* the connection to the client ends behind it */
        const char *via;
};

void forward_print_request(FILE *out, const struct forward_request *r);
/* Of a CONNECT that is forwarded to a proxy, the fields behind Host that are not this hop's own;
 * of another request (which goes to its last proxy as it is) only Via. via: NULL, no Via of ours.
 */
void forward_print_connect(FILE *out, const struct head *head, const char *via);
void forward_print_response(FILE *out, const struct forward_response *r);

/* A request to leave HTTP (RFC 9110 section 7.8). */
bool forward_is_upgrade(const struct head *head);

/* What is wrong with Host (RFC 9112 section 3.2), as a sentence, or NULL. */
const char *forward_host_problem(const struct head *head);

/* True if Via says that the message has passed pseudonym already. */
bool forward_has_passed(const struct head *head, const char *pseudonym);

/* Max-Forwards of a TRACE or OPTIONS request (RFC 9110 section 7.6.2), -1 if there is none. */
int forward_max_forwards(const struct head *head);

/* True if the client keeps its connection for another request. */
bool forward_client_persists(const struct head *head);
/* The same of who sent a response. */
bool forward_server_persists(const struct head *head);

/* True if repeating the request does what one does (RFC 9110 section 9.2.2). */
bool forward_is_idempotent(const struct head *head);

#endif
