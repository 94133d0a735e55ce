/* A connection to an upstream proxy that has refused a CONNECT with 407 and waits for the client's
 * retry: NTLM and Negotiate hold for a connection, so the retry has to go out on this one. It stays
 * its client's, from flow to flow, and is of no use for anything else. */
#ifndef NET_SPARE_H
#define NET_SPARE_H

struct flow;
struct upstream;

struct spare {
        int fd;      /* owned; -1: none */
        char *shown; /* owned: the way that it is of */
};

/* The way that flow takes has kept fd (now owned here) for another try. */
void spare_keep(struct flow *flow, int fd);

/* The descriptor if the flow takes the same way again (now the caller's), or -1; another way's is
 * closed. */
int spare_take(struct flow *flow);

/* The client goes on in another flow. */
void spare_move(struct flow *to, struct flow *from);

void spare_drop(struct flow *flow);

#endif
