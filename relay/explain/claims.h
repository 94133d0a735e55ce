/* What the tools said, beside what is true: lines for a report. */
#ifndef EXPLAIN_CLAIMS_H
#define EXPLAIN_CLAIMS_H

#include "explain/explain.h"

/* Fill ex->claims from the tool.claim events, each sentence once. Called when the findings are
 * settled; catalogue may be NULL. Returns 0 or -ENOMEM. */
int claims_explain(const struct record_events *events, const struct catalogue *catalogue,
                   struct explanation *ex);

#endif
