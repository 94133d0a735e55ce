/* From events to findings and reports. Sees events only, so that any record can be replayed.
 * findings.c holds the table of codes, rules_*.c the rules, catalogue.c the package managers. */
#ifndef EXPLAIN_EXPLAIN_H
#define EXPLAIN_EXPLAIN_H

#include "record/reader.h"
#include "explain/catalogue.h"
#include <stdio.h>

enum severity { SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };

/* How sure the evidence makes it: it cannot be otherwise; it fits better than anything else; it is
 * one of several things that would look like this. */
enum confidence { CONFIDENCE_POSSIBLE, CONFIDENCE_LIKELY, CONFIDENCE_CERTAIN };

struct finding {
        const char *code; /* static */
        enum severity severity;
        enum confidence confidence;
        char *summary;   /* owned; one sentence */
        char **evidence; /* owned; lines with times (UTC, as in the record) */
        size_t evidence_count;
        char **commands; /* owned; remedy to be pasted, in this order, into one shell */
        size_t command_count;
        char *advice; /* owned; what else can be done, or NULL */
};

struct summary {
        size_t processes, connections, requests, responses_ok;
        size_t file_failures;    /* failed file calls, harmless ones included */
        size_t network_failures; /* failed lookups and connections */
        size_t failures;         /* both */
        bool ended;              /* run.end was seen */
        bool relay;              /* the record of `tapline relay`: there is no command */
        int status;              /* exit status, -1 if not known */
        char *signal;            /* owned or NULL */
        char *command; /* owned: the command as one line, quoted for a shell; "" if none */
        bool relay_lost;
};

struct explanation {
        struct finding *findings; /* owned; causes first, in the order in which to fix them */
        size_t finding_count;
        char **seen; /* owned; if nothing was found: what went wrong without proof, as lines */
        size_t seen_count;
        char **uncovered; /* owned; programs that tapline could not see into, each once: "path
                             (reason)" */
        size_t uncovered_count;
        char **claims; /* owned; what the tools said, beside what is true: claims.h */
        size_t claim_count;
        struct summary summary;
        bool truncated;
        size_t bad_lines;
};

/* Run all rules. catalogue may be NULL. A run that worked has no findings. Returns 0 or -ENOMEM,
 * then *out is empty. The caller frees with explanation_free. */
int explain(const struct record_events *events, const struct catalogue *catalogue,
            struct explanation *out);
void explanation_free(struct explanation *ex);

/* "error", "warning", "note". */
const char *severity_name(enum severity severity);
/* "certain", "likely", "possible". */
const char *confidence_name(enum confidence confidence);

/* Reports. record_path is shown to the reader; all return 0 or -errno of writing. */
int report_text(const struct explanation *ex, const char *record_path, FILE *out);
int report_json(const struct explanation *ex, const char *record_path, FILE *out);
/* Annotations for GitHub Actions; appends a page to the file that GITHUB_STEP_SUMMARY names. */
int report_github(const struct explanation *ex, FILE *out);
/* HAR 1.2: the requests themselves. */
int report_har(const struct record_events *events, const struct explanation *ex, FILE *out);
/* One HTML page that needs nothing but itself. */
int report_html(const struct record_events *events, const struct explanation *ex,
                const char *record_path, FILE *out);
/* OTLP/JSON: one TracesData on one line, for tracing systems. */
int report_otlp(const struct record_events *events, const struct explanation *ex, FILE *out);
/* The trace event format of Chrome and Perfetto. */
int report_trace(const struct record_events *events, const struct explanation *ex, FILE *out);

#endif
