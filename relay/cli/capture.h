/* tapline run --capture: the command's own output is read on its way, and lines that a tool is
 * known to mislead with are recorded (tool.claim). A process of its own does it, so that what a
 * child in the background writes later still arrives. Bytes pass as they are.
 *
 * What is a terminal stays one: the command gets a pseudoterminal of the same size and settings,
 * whose output is not changed (OPOST is off; the real terminal does that). Anything else becomes a
 * pipe. Where standard output and error are the same file, they stay the same, so the order is
 * kept. */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include "explain/catalogue.h"
#include "record/writer.h"

struct capture {
        int output[2]; /* owned: what the command gets as descriptors 1 and 2; -1: its own */
        pid_t pid;     /* of the process that reads */
        int stop;      /* owned: closed when the command has ended */
        int drained;   /* owned: says when all that was written is passed on */
};

/* Returns 0 or -errno; then nothing is captured. The record is flushed before the fork. */
int capture_start(struct capture *c, const struct catalogue *catalogue, struct record *rec);

/* The command has been started: it has its descriptors. */
void capture_release(struct capture *c);

/* The command has ended: wait until what it wrote is passed on and recorded, CAPTURE_DRAIN_MS at
 * most. The process goes on while others hold the descriptors, and ends by itself. */
void capture_finish(struct capture *c);

enum { CAPTURE_DRAIN_MS = 3000 };

#endif
