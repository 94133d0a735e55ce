/* The events that the supervisor itself adds to a record: run.start, run.end, the findings, and a
 * command that cannot be covered. */
#ifndef CLI_RUN_RECORD_H
#define CLI_RUN_RECORD_H

#include "cli/options.h"
#include "cli/supervise.h"
#include "cli/way.h"
#include "explain/explain.h"
#include "record/writer.h"
#include "tapline_program.h"

/* command is NULL for `tapline relay`. */
void run_record_start(struct record *rec, const struct options *o, const struct way *way,
                      char **command, const struct catalogue *catalogue);
void run_record_uncovered(struct record *rec, const struct program *command);
void run_record_end(struct record *rec, const struct outcome *outcome, int64_t duration_us,
                    bool relay_ok);
void run_record_findings(struct record *rec, const struct explanation *ex);

#endif
