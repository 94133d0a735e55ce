/* The report for programs: one JSON object (RFC 8259), see docs/record.md for the record it comes
 * from. Strings that are not UTF-8 (a path from the command line) appear as "?". */
#include "explain/explain.h"
#include "explain/text.h"

#include <errno.h>
#include <jansson.h>

static json_t *lines(char *const *items, size_t count)
{
        json_t *array = json_array();

        for (size_t i = 0; array != NULL && i < count; i++)
                json_array_append_new(array, text_json(items[i]));
        return array;
}

static json_t *finding_json(const struct finding *f)
{
        return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:{s:o}}", "code", f->code, "severity",
                         severity_name(f->severity), "confidence", confidence_name(f->confidence),
                         "summary", text_json(f->summary), "evidence",
                         lines(f->evidence, f->evidence_count), "advice", text_json(f->advice),
                         "remedy", "commands", lines(f->commands, f->command_count));
}

static json_t *count(size_t value)
{
        return json_integer((json_int_t)value);
}

static json_t *summary_json(const struct explanation *ex)
{
        const struct summary *s = &ex->summary;
        json_t *status = s->status >= 0 ? json_integer(s->status) : json_null();

        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b}",
                         "command", text_json(s->command), "exit_status", status, "signal",
                         text_json(s->signal), "processes", count(s->processes), "connections",
                         count(s->connections), "requests", count(s->requests), "responses_ok",
                         count(s->responses_ok), "failures", count(s->failures), "file_failures",
                         count(s->file_failures), "network_failures", count(s->network_failures),
                         "uncovered", count(ex->uncovered_count), "ended", s->ended, "relay_lost",
                         s->relay_lost);
}

static json_t *findings_json(const struct explanation *ex)
{
        json_t *array = json_array();

        for (size_t i = 0; array != NULL && i < ex->finding_count; i++)
                json_array_append_new(array, finding_json(&ex->findings[i]));
        return array;
}

int report_json(const struct explanation *ex, const char *record_path, FILE *out)
{
        json_t *root =
                json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "schema", 1, "record",
                          text_json(record_path), "findings", findings_json(ex), "summary",
                          summary_json(ex), "seen", lines(ex->seen, ex->seen_count), "uncovered",
                          lines(ex->uncovered, ex->uncovered_count), "claims",
                          lines(ex->claims, ex->claim_count), "truncated", ex->truncated,
                          "bad_lines", count(ex->bad_lines));
        int result;

        if (root == NULL)
                return -ENOMEM;
        errno = 0;
        result = json_dumpf(root, out, JSON_INDENT(2));
        json_decref(root);
        if (result < 0 || putc('\n', out) == EOF || fflush(out) != 0)
                return errno != 0 ? -errno : -EIO;
        return 0;
}
