/* The report as one HTML page: what happened, the cause, the proof, the fix, and the whole run over
 * time. Needs nothing but itself: no network, no other file. Its policy lets no script and no style
 * act but its own two (report.js and report.css, which the Makefile makes string literals of), so
 * that nothing a record holds could, even where an escape were missing. */
#include "explain/html.h"
#include "explain/html_rows.h"
#include "explain/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
#include <report.css.inc>
        ;
static const char script[] =
#include <report.js.inc>
        ;

struct page {
        FILE *out;
        const struct explanation *ex;
        const json_t *start; /* run.start, or NULL */
        const struct timeline *timeline;
};

static const char *what(const struct explanation *ex)
{
        return *ex->summary.command != '\0' ? ex->summary.command : "tapline relay";
}

static void print_head(const struct page *page)
{
        FILE *out = page->out;

        fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
              "base-uri 'none'; form-action 'none'; style-src ",
              out);
        html_hash(out, style, sizeof style - 1);
        fputs("; script-src ", out);
        html_hash(out, script, sizeof script - 1);
        fputs("\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
              "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
              out);
        html_text(out, what(page->ex));
        fprintf(out, " - tapline</title>\n<style>%s</style>\n</head>\n<body>\n", style);
        fputs("<a class=\"skip\" href=\"#timeline\">Skip to the timeline</a>\n", out);
}

static void print_verdict(const struct page *page)
{
        const struct summary *sum = &page->ex->summary;
        FILE *out = page->out;

        if (sum->signal != NULL) {
                fputs("<span class=\"badge bad\" id=\"verdict\">Ended by ", out);
                html_text(out, sum->signal);
                fputs("</span>", out);
        } else if (sum->status == 0) {
                fputs("<span class=\"badge good\" id=\"verdict\">Worked</span>", out);
        } else if (sum->status > 0) {
                fprintf(out,
                        "<span class=\"badge bad\" id=\"verdict\">Failed, exit status %d</span>",
                        sum->status);
        } else {
                fprintf(out, "<span class=\"badge\" id=\"verdict\">%s</span>",
                        sum->relay ? "Relay" : "No end in the record");
        }
}

static void print_tile(FILE *out, size_t count, const char *one, const char *many, bool bad)
{
        fprintf(out, "<li%s><b>%zu</b>%s</li>", bad && count > 0 ? " class=\"some\"" : "", count,
                count == 1 ? one : many);
}

static void print_span(FILE *out, const char *label, const char *text)
{
        if (text == NULL)
                return;
        fprintf(out, "<span>%s", label);
        html_text(out, text);
        fputs("</span>", out);
}

/* "2026-01-31 13:20:01 UTC" */
static void print_date(FILE *out, const char *time)
{
        char text[32];

        if (time == NULL || strlen(time) < 19)
                return;
        snprintf(text, sizeof text, "%.10s %.8s UTC", time, time + 11);
        print_span(out, "", text);
}

static void print_header(const struct page *page)
{
        const struct summary *sum = &page->ex->summary;
        const char *upstream = event_get_str(page->start, "upstream");
        FILE *out = page->out;

        fputs("<header>\n", out);
        print_verdict(page);
        fputs("\n<h1>", out);
        html_text(out, what(page->ex));
        fputs("</h1>\n<p class=\"meta\">", out);
        print_date(out, event_get_str(page->start, "time"));
        if (page->timeline->end_us > page->timeline->start_us) {
                fputs("<span>", out);
                html_duration(out, page->timeline->end_us - page->timeline->start_us);
                fputs("</span>", out);
        }
        print_span(out, "in ", event_get_str(page->start, "cwd"));
        print_span(out, "way out: ", upstream != NULL ? upstream : "direct");
        print_span(out, "tapline ", event_get_str(page->start, "version"));
        fputs("</p>\n<ul class=\"tiles\">", out);
        print_tile(out, sum->processes, "process", "processes", false);
        print_tile(out, sum->connections, "connection", "connections", false);
        print_tile(out, sum->requests, "request", "requests", false);
        print_tile(out, sum->responses_ok, "good answer", "good answers", false);
        print_tile(out, sum->network_failures, "network failure", "network failures", true);
        print_tile(out, sum->file_failures, "failed file call", "failed file calls", true);
        fputs("</ul>\n</header>\n<main>\n", out);
}

static void print_list(FILE *out, const char *title, char *const *lines, size_t count)
{
        if (count == 0)
                return;
        fprintf(out, "<h4>%s</h4><ul class=\"proof\">", title);
        for (size_t i = 0; i < count; i++) {
                fputs("<li>", out);
                html_text(out, lines[i]);
                fputs("</li>\n", out);
        }
        fputs("</ul>\n", out);
}

static void print_fix(FILE *out, const struct finding *f)
{
        if (f->advice == NULL && f->command_count == 0)
                return;
        fputs("<h4>Fix</h4>", out);
        if (f->advice != NULL) {
                fputs("<p>", out);
                html_text(out, f->advice);
                fputs("</p>\n", out);
        }
        if (f->command_count == 0)
                return;
        fputs("<div class=\"fix\"><pre>", out);
        for (size_t i = 0; i < f->command_count; i++) {
                html_text(out, f->commands[i]);
                putc('\n', out);
        }
        fputs("</pre><button type=\"button\" class=\"copy\" hidden>Copy</button></div>\n", out);
}

static void print_finding(FILE *out, const struct finding *f)
{
        const char *severity = severity_name(f->severity);

        fprintf(out,
                "<article class=\"card finding %s\"><span class=\"badge %s\">%s</span> "
                "<span class=\"soft\">%s, %s</span><h3>",
                severity, severity, f->code, severity, confidence_name(f->confidence));
        html_text(out, f->summary);
        fputs("</h3>\n", out);
        print_list(out, "Proof", f->evidence, f->evidence_count);
        print_fix(out, f);
        fputs("</article>\n", out);
}

static void print_causes(const struct page *page)
{
        const struct explanation *ex = page->ex;
        FILE *out = page->out;
        bool failed = ex->summary.status > 0 || ex->summary.signal != NULL;

        if (ex->finding_count == 0 && !failed && ex->seen_count == 0)
                return;
        fprintf(out, "<section id=\"cause\"><h2>%s</h2>\n",
                ex->finding_count > 1    ? "What went wrong, in the order in which to fix it"
                : ex->finding_count == 1 ? "Cause"
                                         : "No cause was found");
        for (size_t i = 0; i < ex->finding_count; i++)
                print_finding(out, &ex->findings[i]);
        if (ex->finding_count == 0 && failed)
                fputs("<p>tapline does not know why it failed.</p>\n", out);
        if (ex->finding_count == 0)
                print_list(out, "What went wrong on the way, and may be harmless", ex->seen,
                           ex->seen_count);
        fputs("</section>\n", out);
}

static void print_caveats(const struct page *page)
{
        const struct explanation *ex = page->ex;
        FILE *out = page->out;

        if (ex->summary.relay_lost)
                fputs("<p class=\"caution\">tapline's relay ended before the command; what came "
                      "after "
                      "is not in the record, and connections that failed then are its fault.</p>\n",
                      out);
        if (ex->truncated)
                fputs("<p class=\"caution\">The record ends in half a line; what came after is "
                      "lost.</p>\n",
                      out);
        if (ex->bad_lines > 0)
                fprintf(out,
                        "<p class=\"caution\">%zu line%s of the record could not be read.</p>\n",
                        ex->bad_lines, text_s(ex->bad_lines));
        if (ex->uncovered_count + ex->claim_count == 0)
                return;
        fputs("<section class=\"card\">", out);
        print_list(out, "What the tool said, beside what is true", ex->claims, ex->claim_count);
        print_list(out, "Programs that could not be watched", ex->uncovered, ex->uncovered_count);
        fputs("</section>\n", out);
}

static void print_setting(const struct page *page)
{
        const json_t *environment = json_object_get(page->start, "environment");
        FILE *out = page->out;

        if (page->start == NULL)
                return;
        fputs("<section id=\"setting\"><h2>Setting</h2>\n<details class=\"card\"><summary>How it "
              "was "
              "started</summary><div class=\"mono\">",
              out);
        html_fields(page->start, out);
        fputs("</div></details>\n", out);
        if (json_object_size(environment) > 0) {
                fprintf(out,
                        "<details class=\"card\"><summary>%zu variables of its environment"
                        "</summary><div class=\"mono\">",
                        json_object_size(environment));
                html_fields(environment, out);
                fputs("</div></details>\n", out);
        }
        fputs("</section>\n", out);
}

/* A path from the command line need not be UTF-8, as all strings of a record are. */
static void print_footer(const struct page *page, const char *record_path)
{
        json_t *path = record_path != NULL ? json_string(record_path) : NULL;
        FILE *out = page->out;

        fputs("</main>\n<footer><p>Record: <code>", out);
        html_text(out, path != NULL ? json_string_value(path) : "?");
        fputs("</code>. Times are UTC. Known secrets are masked; read it before you publish it.</p>"
              "</footer>\n",
              out);
        fprintf(out, "<script>%s</script>\n</body>\n</html>\n", script);
        json_decref(path);
}

int report_html(const struct record_events *events, const struct explanation *ex,
                const char *record_path, FILE *out)
{
        struct timeline timeline;
        struct page page = {out, ex, NULL, &timeline};
        int result = timeline_init(&timeline, events);

        errno = 0;
        for (size_t i = 0; i < events->count && page.start == NULL; i++)
                if (event_is(events->items[i], "run.start"))
                        page.start = events->items[i];
        if (result == 0) {
                print_head(&page);
                print_header(&page);
                print_caveats(&page);
                print_causes(&page);
                result = html_rows(&timeline, out);
                print_setting(&page);
                print_footer(&page, record_path);
        }
        timeline_fini(&timeline);
        if (result == 0 && (fflush(out) != 0 || ferror(out)))
                result = errno != 0 ? -errno : -EIO;
        return result;
}
