/* The rules: each looks at the facts of a run that did not work and adds what it can prove. The
 * table is in explain.c; a later rule may look at what earlier ones found. */
#ifndef EXPLAIN_RULES_H
#define EXPLAIN_RULES_H

#include "explain/facts.h"
#include "explain/findings.h"

/* Names and connections that failed and were not made good later (rules_network.c). */
void rules_network(const struct facts *facts, struct findings *findings);
/* Upstream proxies, and proxies that the program itself speaks to (rules_proxy.c). */
void rules_proxy(const struct facts *facts, struct findings *findings);
/* Ways past a proxy that were not meant (rules_route.c). */
void rules_route(const struct facts *facts, struct findings *findings);
/* Certificates that somebody refused, versions, clocks (rules_tls.c). */
void rules_tls(const struct facts *facts, struct findings *findings);
/* Answers that say no, and redirects (rules_http.c). */
void rules_http(const struct facts *facts, struct findings *findings);
/* Answers that are late, broken off or false; repetition (rules_transfer.c). */
void rules_transfer(const struct facts *facts, struct findings *findings);
/* Locks that somebody else holds; after the other rules (rules_locks.c). */
void rules_locks(const struct facts *facts, struct findings *findings);
/* How the command ended (rules_end.c). */
void rules_end(const struct facts *facts, struct findings *findings);
/* Failed file calls; after the network's rules, whose faults it weighs against (rules_files.c). */
void rules_files(const struct facts *facts, struct findings *findings);
/* The limit that a file ran into, and how to raise it: of a process.start or a file.failure with
 * EFBIG (rules_end.c). */
void rules_size_limit(struct draft *d, const json_t *event);
/* Clients that gave up for no visible reason, programs not covered (rules_client.c). */
void rules_client(const struct facts *facts, struct findings *findings);

/* Up to this many events are shown for one fault; the others are counted. */
enum { EVIDENCE_MAX = 4 };

#endif
