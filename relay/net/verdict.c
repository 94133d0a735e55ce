/* Verdicts; see verdict.h. */
#include "net/verdict.h"

#include <string.h>

void flow_verdict(const struct flow *flow, struct wire_verdict *verdict)
{
        memset(verdict, 0, sizeof *verdict);
        verdict->port = flow->relay->private_port;
        verdict->peer = flow->address;
        verdict->error = flow->verdict_error;
        verdict->state = flow->verdict_error != 0                         ? WIRE_STATE_FAILED
                         : flow->state == FLOW_DIALLING && !flow->passing ? WIRE_STATE_PENDING
                                                                          : WIRE_STATE_OPEN;
}
