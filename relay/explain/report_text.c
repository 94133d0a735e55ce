/* The report for a person: what happened, the cause, the proof, the fix, where the record is. Text
 * in a record was chosen by servers and users, so nothing that could drive a terminal gets through.
 */
#include "explain/explain.h"
#include "explain/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct page {
        FILE *out;
        const char *bold, *plain; /* escape sequences, "" without colours */
};

static bool wants_colour(FILE *out)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(fileno(out)) && (no_color == NULL || *no_color == '\0') && term != NULL &&
               strcmp(term, "dumb") != 0;
}

static void print_line(const struct page *page, const char *indent, const char *text)
{
        fputs(indent, page->out);
        text_print_clean(page->out, text);
        putc('\n', page->out);
}

static void heading(const struct page *page, const char *text)
{
        fprintf(page->out, "%s%s%s", page->bold, text, page->plain);
}

static const char *s(size_t count)
{
        return count == 1 ? "" : "s";
}

static void print_end(const struct page *page, const struct summary *sum)
{
        FILE *out = page->out;

        if (sum->signal != NULL) {
                fputs(" was ended by ", out);
                text_print_clean(out, sum->signal);
        } else if (sum->status == 0) {
                fputs(" worked", out);
        } else if (sum->status > 0) {
                fprintf(out, " ended with exit status %d", sum->status);
        } else if (!sum->relay) {
                fputs(": the record holds no end of the run", out);
        }
}

/* Named here if the run worked: otherwise a finding names them. */
static void print_uncovered(const struct page *page, const struct explanation *ex, bool names)
{
        enum { NAMES_MAX = 3 };
        FILE *out = page->out;

        if (ex->uncovered_count == 0)
                return;
        fprintf(out, "; %zu program%s could not be watched", ex->uncovered_count,
                s(ex->uncovered_count));
        for (size_t i = 0; names && i < ex->uncovered_count && i < NAMES_MAX; i++) {
                fputs(i == 0 ? ": " : ", ", out);
                text_print_clean(out, ex->uncovered[i]);
        }
        if (names && ex->uncovered_count > NAMES_MAX)
                fprintf(out, " and %zu more", ex->uncovered_count - NAMES_MAX);
}

static void print_happened(const struct page *page, const struct summary *sum)
{
        FILE *out = page->out;

        heading(page, "tapline: ");
        text_print_clean(out, sum->relay || *sum->command == '\0' ? "relay" : sum->command);
        print_end(page, sum);
        if (!sum->relay)
                fprintf(out, "; %zu process%s", sum->processes, sum->processes == 1 ? "" : "es");
        fprintf(out, "%s %zu connection%s, %zu request%s", sum->relay ? ":" : ",", sum->connections,
                s(sum->connections), sum->requests, s(sum->requests));
        if (sum->requests > 0)
                fprintf(out, ", %zu good answer%s", sum->responses_ok, s(sum->responses_ok));
}

static void print_caveats(const struct page *page, const struct explanation *ex)
{
        if (ex->summary.relay_lost)
                print_line(page, "",
                           "tapline's relay ended before the command; what came after is not in "
                           "the record, and connections that failed then are its fault.");
        if (ex->truncated)
                print_line(page, "", "The record ends in half a line; what came after is lost.");
        if (ex->bad_lines > 0)
                fprintf(page->out, "%zu line%s of the record could not be read.\n", ex->bad_lines,
                        s(ex->bad_lines));
}

static void print_finding(const struct page *page, const struct finding *f, const char *name)
{
        putc('\n', page->out);
        heading(page, name);
        print_line(page, " ", f->summary);
        if (f->evidence_count > 0)
                heading(page, "Proof:\n");
        for (size_t i = 0; i < f->evidence_count; i++)
                print_line(page, "  ", f->evidence[i]);
        if (f->command_count > 0 || f->advice != NULL)
                heading(page, "Fix:");
        if (f->advice != NULL)
                print_line(page, " ", f->advice);
        else if (f->command_count > 0)
                putc('\n', page->out);
        for (size_t i = 0; i < f->command_count; i++)
                print_line(page, "    ", f->commands[i]);
}

static const char *name_of(const struct finding *f, bool first)
{
        if (f->severity != SEVERITY_ERROR)
                return "Noticed:";
        if (f->confidence == CONFIDENCE_CERTAIN)
                return first ? "Cause:" : "Then:";
        return first ? "Likely cause:" : "Then, likely:";
}

static void print_findings(const struct page *page, const struct explanation *ex)
{
        for (size_t i = 0; i < ex->finding_count; i++)
                print_finding(page, &ex->findings[i], name_of(&ex->findings[i], i == 0));
}

static void print_unknown(const struct page *page, const struct explanation *ex)
{
        if (ex->summary.relay || ex->summary.status < 0)
                print_line(page, "", "tapline found no cause of a failure.");
        else
                print_line(page, "", "tapline does not know why it failed.");
        if (ex->seen_count > 0)
                print_line(page, "", "What went wrong on the way, and may be harmless:");
        for (size_t i = 0; i < ex->seen_count; i++)
                print_line(page, "  ", ex->seen[i]);
}

static bool has_error(const struct explanation *ex)
{
        return ex->finding_count > 0 && ex->findings[0].severity == SEVERITY_ERROR;
}

int report_text(const struct explanation *ex, const char *record_path, FILE *out)
{
        bool colour = wants_colour(out);
        struct page page = {out, colour ? "\033[1m" : "", colour ? "\033[0m" : ""};
        bool worked = ex->summary.status == 0 && ex->summary.signal == NULL;

        errno = 0;
        print_happened(&page, &ex->summary);
        print_uncovered(&page, ex, worked);
        if (worked && record_path != NULL) {
                fputs("; record: ", out);
                text_print_clean(out, record_path);
        }
        putc('\n', out);
        print_caveats(&page, ex);
        if (!has_error(ex) && !worked)
                print_unknown(&page, ex);
        print_findings(&page, ex);
        if (ex->claim_count > 0)
                putc('\n', out);
        for (size_t i = 0; i < ex->claim_count; i++)
                print_line(&page, "", ex->claims[i]);
        if (!worked && record_path != NULL) {
                putc('\n', out);
                heading(&page, "Record: ");
                print_line(&page, "", record_path);
        }
        if (fflush(out) != 0 || ferror(out))
                return errno != 0 ? -errno : -EIO;
        return 0;
}
