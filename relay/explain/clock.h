/* Is this machine's clock right? Compares it with the Date fields of answers (RFC 9110 section
 * 6.6.1). Used by rules_tls.c: a wrong clock makes good certificates look expired. */
#ifndef EXPLAIN_CLOCK_H
#define EXPLAIN_CLOCK_H

#include "explain/rules.h"

struct clock_skew {
        const json_t *answer; /* the first one that differs, or NULL; borrowed */
        const char *date;     /* its Date, borrowed */
        const char *host;     /* who sent it, borrowed; may be NULL */
        int64_t seconds;      /* their clock less ours */
        size_t hosts;         /* how many hosts differ alike, counted up to 2 */
        size_t agreeing;      /* answers whose Date agrees with our clock */
};

void clock_measure(const struct facts *facts, struct clock_skew *skew);

/* Would the certificate of this tls event be valid by their clock? */
bool clock_explains(const struct clock_skew *skew, const json_t *tls);

/* "This machine's clock is 30 days behind." Caller owns; NULL when out of memory. */
char *clock_summary(const struct clock_skew *skew);
void clock_proof(struct draft *d, const struct clock_skew *skew);

#endif
