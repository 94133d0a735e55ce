/* Connections kept for a retry; see spare.h. */
#include "net/spare.h"
#include "net/flow.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void spare_drop(struct flow *flow)
{
        if (flow->spare.fd >= 0)
                close(flow->spare.fd);
        free(flow->spare.shown);
        flow->spare = (struct spare){.fd = -1};
}

void spare_keep(struct flow *flow, int fd)
{
        spare_drop(flow);
        flow->spare.fd = fd;
        flow->spare.shown = strdup(flow->via->shown);
        if (flow->spare.shown == NULL)
                spare_drop(flow);
}

/* By its name, for a reload may have put another way into the same memory. */
int spare_take(struct flow *flow)
{
        int fd = flow->spare.fd;

        if (fd >= 0 && flow->via != NULL && strcmp(flow->via->shown, flow->spare.shown) == 0)
                flow->spare.fd = -1;
        else
                fd = -1;
        spare_drop(flow);
        return fd;
}

void spare_move(struct flow *to, struct flow *from)
{
        to->spare = from->spare;
        from->spare = (struct spare){.fd = -1};
}
