/* See claims.h. A tool is contradicted only by a finding that is an error: where no cause is known,
 * its words are all there is. */
#include "explain/claims.h"
#include "explain/facts.h"
#include "explain/findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CLAIMS_MAX = 5 };

/* What a finding is about, in the words of the catalogue. */
static const char *subject_of(const char *code)
{
        for (size_t i = 0; i < FINDING_CODE_COUNT; i++) {
                if (finding_kinds[i].code == NULL || strcmp(finding_kinds[i].code, code) != 0)
                        continue;
                if ((finding_network_bits & FINDING_BIT(i)) != 0)
                        return "network";
        }
        if (strncmp(code, "cache-", 6) == 0)
                return "cache";
        return strncmp(code, "temp-", 5) == 0 ? "temp" : "other";
}

static const char *title_of(const struct catalogue *catalogue, const char *name)
{
        for (size_t i = 0; name != NULL && i < catalogue_count(catalogue); i++)
                if (strcmp(catalogue_get(catalogue, i)->name, name) == 0)
                        return catalogue_get(catalogue, i)->title;
        return name != NULL ? name : "The program";
}

static char *verdict(const struct explanation *ex, const char *blames)
{
        const struct finding *first = ex->finding_count > 0 ? &ex->findings[0] : NULL;

        if (first == NULL || first->severity != SEVERITY_ERROR || blames == NULL)
                return text_format("%s", "");
        if (strcmp(subject_of(first->code), blames) == 0)
                return text_format("%s", ", which is right");
        return text_format("; true is: %s", first->summary);
}

int claims_explain(const struct record_events *events, const struct catalogue *catalogue,
                   struct explanation *ex)
{
        struct text_list said = {0}, out = {0};

        for (size_t i = 0; i < events->count; i++) {
                const json_t *event = events->items[i];
                const char *text = event_get_str(event, "text");
                char *end;

                if (!event_is(event, "tool.claim") || text == NULL || out.count == CLAIMS_MAX ||
                    !text_add_once(&said, text))
                        continue;
                end = verdict(ex, event_get_str(event, "blames"));
                text_add(&out, "%s said: %s%s", title_of(catalogue, event_get_str(event, "tool")),
                         text, end != NULL ? end : "");
                free(end);
        }
        text_list_fini(&said);
        ex->claims = out.items;
        ex->claim_count = out.count;
        return out.oom ? -ENOMEM : 0;
}
