/* The timeline's rows: see html_rows.h. Bars are SVG with attributes, no styles: the page's policy
 * lets no inline style act. */
#include "explain/html_rows.h"
#include "explain/html.h"
#include "explain/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_MAX = 300 }; /* processes that did nothing worth a row */

static bool is_row(const struct span *span)
{
        return span->kind != SPAN_PROCESS;
}

static void print_value(FILE *out, const json_t *value)
{
        char *text = NULL;

        if (json_is_string(value)) {
                html_text(out, json_string_value(value));
        } else if (json_is_array(value)) {
                for (size_t i = 0; i < json_array_size(value); i++) {
                        const json_t *item = json_array_get(value, i);

                        fputs(i > 0 ? "\n" : "", out);
                        for (size_t k = 0; json_is_array(item) && k < json_array_size(item); k++) {
                                fputs(k > 0 ? ": " : "", out);
                                html_text(out, json_string_value(json_array_get(item, k)));
                        }
                        if (!json_is_array(item))
                                print_value(out, item);
                }
        } else if ((text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12))) != NULL) {
                html_text(out, text);
        }
        free(text);
}

void html_fields(const json_t *event, FILE *out)
{
        static const char common[] = " time event pid tid exe flow request ";
        const char *key;
        json_t *value;

        fputs("<dl>", out);
        json_object_foreach ((json_t *)event, key, value) {
                char word[24];

                snprintf(word, sizeof word, " %.20s ", key);
                if (strstr(common, word) != NULL)
                        continue;
                fputs("<dt>", out);
                html_text(out, key);
                fputs("</dt><dd>", out);
                print_value(out, value);
                fputs("</dd>", out);
        }
        fputs("</dl>", out);
}

static void print_event(const json_t *event, FILE *out)
{
        char time[16];

        text_time_of_day(event, time);
        fputs("<div class=\"event\"><h5>", out);
        html_text(out, time);
        fputs(" ", out);
        html_text(out, event_get_str(event, "event"));
        fputs("</h5>", out);
        html_fields(event, out);
        fputs("</div>", out);
}

static double percent(const struct timeline *t, int64_t us)
{
        int64_t whole = t->end_us > t->start_us ? t->end_us - t->start_us : 1;

        us = us < t->start_us ? t->start_us : us > t->end_us ? t->end_us : us;
        return 100.0 * (double)(us - t->start_us) / (double)whole;
}

/* A bar that nobody could see is made wide enough. */
static void print_rect(FILE *out, const char *class, double from, double to)
{
        double width = to - from < 0.7 ? 0.7 : to - from;

        if (from + width > 100)
                from = 100 - width;
        fprintf(out, "<rect%s x=\"%.2f%%\" y=\"25%%\" width=\"%.2f%%\" height=\"50%%\"/>", class,
                from, width);
}

static void print_bar(const struct timeline *t, const struct span *span, FILE *out)
{
        double from = percent(t, span->start_us), to = percent(t, span->end_us);
        double part = span->part_us >= 0 ? percent(t, span->part_us) : to;

        fputs("<td class=\"track\"><svg class=\"bar\" aria-hidden=\"true\">", out);
        print_rect(out, "", from, to);
        if (span->part_us >= 0 && part - from >= 0.7)
                print_rect(out, " class=\"part\"", from, part);
        fputs("</svg></td>", out);
}

static void print_what(const struct timeline *t, const struct span *span, FILE *out)
{
        char *title = timeline_title(t, span);
        int64_t flow = event_get_int(t->events->items[span->first], "flow", 0);

        fputs("<td class=\"what\"><details><summary>", out);
        html_text(out, title);
        if (flow > 0)
                fprintf(out, " <span class=\"soft\">#%lld</span>", (long long)flow);
        fputs("</summary>", out);
        for (size_t i = span->first; i != TIMELINE_NONE; i = t->next[i])
                print_event(t->events->items[i], out);
        fputs("</details></td>", out);
        free(title);
}

static void print_row(const struct timeline *t, const struct span *span, FILE *out)
{
        const char *kind = timeline_kind_name(span->kind);
        char *outcome = timeline_outcome(t, span);

        fprintf(out, "<tr class=\"row %s%s\" data-kind=\"%s\"><td class=\"start\">%.3f</td>", kind,
                span->failed ? " bad" : "", kind, (double)(span->start_us - t->start_us) / 1e6);
        print_what(t, span, out);
        fputs("<td class=\"outcome\">", out);
        html_text(out, outcome);
        fputs(span->open ? " (no end in the record)</td>" : "</td>", out);
        fputs("<td class=\"took\">", out);
        if (span->end_us > span->start_us)
                html_duration(out, span->end_us - span->start_us);
        fputs("</td>", out);
        print_bar(t, span, out);
        fputs("</tr>\n", out);
        free(outcome);
}

static void print_table_head(const struct timeline *t, FILE *out)
{
        int64_t whole = t->end_us - t->start_us;

        fputs("<table><thead><tr><th class=\"c-start right\" scope=\"col\">Second</th>"
              "<th class=\"what\" scope=\"col\">What</th><th class=\"c-outcome\" "
              "scope=\"col\">Came of it</th>"
              "<th class=\"c-took right\" scope=\"col\">Took</th>"
              "<th class=\"c-bar bar-head\" scope=\"col\"><span "
              "class=\"axis\"><span>0</span><span>",
              out);
        html_duration(out, whole / 2);
        fputs("</span><span>", out);
        html_duration(out, whole);
        fputs("</span></span></th></tr></thead><tbody>\n", out);
}

static void print_owner(const struct timeline *t, const struct span *process, FILE *out)
{
        char *title = process != NULL ? timeline_title(t, process) : NULL;

        if (process == NULL) {
                fputs("<b>Clients of the relay, and the relay itself</b>", out);
        } else {
                fputs("<b>", out);
                html_text(out, process->exe != NULL ? text_base(process->exe) : "process");
                fprintf(out, "</b> <span class=\"pid\">%lld</span>", (long long)process->pid);
                fputs("<code class=\"command\">", out);
                html_text(out, title);
                fputs("</code>", out);
        }
        free(title);
}

static int by_process_and_time(const void *a, const void *b)
{
        const struct span *x = *(const struct span *const *)a, *y = *(const struct span *const *)b;

        if (x->process != y->process)
                return x->process < y->process ? -1 : 1;
        if (x->start_us != y->start_us)
                return x->start_us < y->start_us ? -1 : 1;
        return x < y ? -1 : x > y;
}

/* Choose what is shown: all, or what failed first and then the earliest. Returns how many. */
static size_t choose(const struct timeline *t, const struct span **rows)
{
        size_t count = 0, bad = 0, room;

        for (size_t i = 0; i < t->count; i++)
                bad += is_row(&t->spans[i]) && t->spans[i].failed;
        bad = bad < HTML_ROWS_MAX ? bad : HTML_ROWS_MAX;
        room = HTML_ROWS_MAX - bad;
        for (size_t i = 0; i < t->count; i++) {
                const struct span *span = &t->spans[i];
                size_t *left = span->failed ? &bad : &room;

                if (!is_row(span) || *left == 0)
                        continue;
                --*left;
                rows[count++] = span;
        }
        qsort(rows, count, sizeof *rows, by_process_and_time);
        return count;
}

static void print_processes(const struct timeline *t, const struct span **rows, size_t count,
                            FILE *out)
{
        for (size_t i = 0; i < count; i++) {
                size_t process = rows[i]->process;

                if (i == 0 || rows[i - 1]->process != process) {
                        fputs("<details class=\"card process\" open><summary>", out);
                        print_owner(t, process != TIMELINE_NONE ? &t->spans[process] : NULL, out);
                        fputs("</summary>\n", out);
                        print_table_head(t, out);
                }
                print_row(t, rows[i], out);
                if (i + 1 == count || rows[i + 1]->process != process)
                        fputs("</tbody></table></details>\n", out);
        }
}

static void print_idle(const struct timeline *t, FILE *out)
{
        size_t count = 0, shown = 0;

        for (size_t i = 0; i < t->count; i++)
                count += t->spans[i].kind == SPAN_PROCESS && t->spans[i].children == 0;
        if (count == 0)
                return;
        fprintf(out,
                "<details class=\"card\"><summary>%zu process%s without connections and failed "
                "file calls</summary><ul class=\"proof\">\n",
                count, count == 1 ? "" : "es");
        for (size_t i = 0; i < t->count && shown < IDLE_MAX; i++) {
                if (t->spans[i].kind != SPAN_PROCESS || t->spans[i].children != 0)
                        continue;
                fputs("<li>", out);
                print_owner(t, &t->spans[i], out);
                fputs("</li>\n", out);
                shown++;
        }
        if (shown < count)
                fprintf(out, "<li>and %zu more</li>\n", count - shown);
        fputs("</ul></details>\n", out);
}

static void print_controls(FILE *out)
{
        static const struct {
                enum span_kind kind;
                const char *label;
        } boxes[] = {{SPAN_CONNECTION, "connections"},
                     {SPAN_REQUEST, "requests"},
                     {SPAN_FILE, "failed file calls"},
                     {SPAN_LOOKUP, "names"},
                     {SPAN_LOCK, "locks"},
                     {SPAN_NOTE, "notes"}};

        fputs("<div class=\"controls\" id=\"controls\" role=\"search\" hidden>"
              "<input type=\"search\" id=\"search\" placeholder=\"Filter: host, path, status, pid, "
              "#connection\" aria-label=\"Filter the timeline (key: /)\">",
              out);
        for (size_t i = 0; i < sizeof boxes / sizeof boxes[0]; i++) {
                const char *kind = timeline_kind_name(boxes[i].kind);

                fprintf(out,
                        "<label><input type=\"checkbox\" data-kind=\"%s\" checked>"
                        "<span class=\"key %s\"></span>%s</label>",
                        kind, kind, boxes[i].label);
        }
        fputs("<label><input type=\"checkbox\" id=\"only-bad\">only what failed</label>"
              "<output id=\"shown\" class=\"soft\" aria-live=\"polite\"></output></div>\n",
              out);
}

int html_rows(const struct timeline *timeline, FILE *out)
{
        const struct span **rows = calloc(HTML_ROWS_MAX, sizeof *rows);
        size_t count, all = 0;

        if (rows == NULL)
                return -ENOMEM;
        for (size_t i = 0; i < timeline->count; i++)
                all += is_row(&timeline->spans[i]);
        count = choose(timeline, rows);
        fputs("<section id=\"timeline\" tabindex=\"-1\"><h2>Timeline</h2>\n"
              "<p class=\"soft\">A bar is lighter until the connection was there, or until the "
              "answer began. A line opens and shows its events.</p>\n",
              out);
        print_controls(out);
        if (count < all)
                fprintf(out,
                        "<p class=\"caution\" id=\"capped\">%zu of %zu lines are shown: what "
                        "failed, "
                        "then what came first. The record has them all; <code>tapline tail "
                        "--from-start</code> prints them.</p>\n",
                        count, all);
        if (count == 0)
                fputs("<p class=\"soft\">No connection was made and no file call failed.</p>\n",
                      out);
        print_processes(timeline, rows, count, out);
        print_idle(timeline, out);
        fputs("</section>\n", out);
        free(rows);
        return 0;
}
