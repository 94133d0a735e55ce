/* The list that the rules add to, and how it is settled: see findings.h. */
#include "explain/findings.h"

#include <errno.h>
#include <stdlib.h>

struct draft *findings_add(struct findings *findings, enum finding_code code, const json_t *first)
{
        struct draft *grown = reallocarray(findings->drafts, findings->count + 1, sizeof *grown);

        if (grown == NULL) {
                findings->oom = true;
                return NULL;
        }
        findings->drafts = grown;
        grown += findings->count++;
        *grown = (struct draft){
                .code = code,
                .severity = finding_kinds[code].severity,
                .confidence = CONFIDENCE_CERTAIN,
                .time_us = event_get_time_us(first),
        };
        return grown;
}

static void draft_fini(struct draft *d)
{
        free(d->summary);
        free(d->advice);
        text_list_fini(&d->evidence);
        text_list_fini(&d->commands);
}

bool findings_has_error(const struct findings *findings, uint64_t codes)
{
        for (size_t i = 0; i < findings->count; i++)
                if (findings->drafts[i].severity == SEVERITY_ERROR &&
                    (FINDING_BIT(findings->drafts[i].code) & codes) != 0)
                        return true;
        return false;
}

static int by_order(const void *a, const void *b)
{
        const struct draft *x = a, *y = b;

        if (x->severity != y->severity)
                return x->severity > y->severity ? -1 : 1;
        if (x->code != y->code)
                return x->code < y->code ? -1 : 1;
        return (x->time_us > y->time_us) - (x->time_us < y->time_us);
}

/* Takes what the draft owns. Returns -ENOMEM if one of its texts could not be made. */
static int settle_one(struct draft *d, struct finding *out)
{
        const char *advice = finding_kinds[d->code].advice;

        if (d->advice == NULL && advice != NULL)
                d->advice = text_format("%s", advice);
        *out = (struct finding){
                .code = finding_kinds[d->code].code,
                .severity = d->severity,
                .confidence = d->confidence,
                .summary = d->summary,
                .evidence = d->evidence.items,
                .evidence_count = d->evidence.count,
                .commands = d->commands.items,
                .command_count = d->commands.count,
                .advice = d->advice,
        };
        return d->summary == NULL || d->evidence.oom || d->commands.oom ? -ENOMEM : 0;
}

int findings_settle(struct findings *findings, struct explanation *out)
{
        int result = findings->oom ? -ENOMEM : 0;

        out->findings = calloc(findings->count + 1, sizeof *out->findings);
        if (out->findings == NULL)
                result = -ENOMEM;
        if (findings->count > 1)
                qsort(findings->drafts, findings->count, sizeof *findings->drafts, by_order);
        for (size_t i = 0; i < findings->count; i++) {
                struct draft *d = &findings->drafts[i];

                if (result < 0 || findings_has_error(findings, finding_kinds[d->code].explained_by))
                        draft_fini(d);
                else
                        result = settle_one(d, &out->findings[out->finding_count++]);
        }
        free(findings->drafts);
        *findings = (struct findings){0};
        return result;
}
