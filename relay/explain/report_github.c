/* The report for GitHub Actions: workflow commands that annotate the job, and a page for the job's
 * summary, which the runner takes from the file that GITHUB_STEP_SUMMARY names. */
#include "explain/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The runner shows no more annotations of a kind per step, and refuses longer summaries. */
enum { ANNOTATIONS_MAX = 10, SUMMARY_MAX = 1000 * 1024 };

/* What ends a command or separates its parts is written as in a URL; in a property, more does. */
static void print_escaped(FILE *out, const char *text, const char *special)
{
        for (; *text != '\0'; text++)
                if (strchr(special, *text) != NULL)
                        fprintf(out, "%%%02X", (unsigned char)*text);
                else
                        putc((unsigned char)*text < 0x20 ? ' ' : *text, out);
}

static void print_data(FILE *out, const char *text)
{
        print_escaped(out, text, "%\r\n");
}

static void print_lines(FILE *out, const char *title, char *const *lines, size_t count)
{
        if (count > 0)
                fprintf(out, "%%0A%s:", title);
        for (size_t i = 0; i < count; i++) {
                fputs("%0A  ", out);
                print_data(out, lines[i]);
        }
}

static void annotate(FILE *out, const struct finding *f)
{
        static const char *const commands[] = {"notice", "warning", "error"};

        fprintf(out, "::%s title=tapline%%3A ", commands[f->severity]);
        print_escaped(out, f->code, "%\r\n:,");
        fputs("::", out);
        print_data(out, f->summary);
        print_lines(out, "Proof", f->evidence, f->evidence_count);
        if (f->advice != NULL) {
                fputs("%0AFix: ", out);
                print_data(out, f->advice);
        }
        print_lines(out, "Commands", f->commands, f->command_count);
        putc('\n', out);
}

/* Text in Markdown: what would be markup is not. */
static void print_markdown(FILE *out, const char *text)
{
        for (; *text != '\0'; text++) {
                if (strchr("\\`*_{}[]<>#|", *text) != NULL)
                        putc('\\', out);
                putc((unsigned char)*text < 0x20 ? ' ' : *text, out);
        }
}

static void print_block(FILE *out, char *const *lines, size_t count)
{
        if (count == 0)
                return;
        fputs("\n~~~\n", out);
        for (size_t i = 0; i < count; i++) {
                for (const char *c = lines[i]; *c != '\0'; c++)
                        putc((unsigned char)*c < 0x20 || *c == '~' ? ' ' : *c, out);
                putc('\n', out);
        }
        fputs("~~~\n", out);
}

static void print_finding(FILE *out, const struct finding *f)
{
        fprintf(out, "\n### %s (%s, %s)\n\n", f->code, severity_name(f->severity),
                confidence_name(f->confidence));
        print_markdown(out, f->summary);
        putc('\n', out);
        print_block(out, f->evidence, f->evidence_count);
        if (f->advice != NULL) {
                fputs("\nFix: ", out);
                print_markdown(out, f->advice);
                putc('\n', out);
        }
        print_block(out, f->commands, f->command_count);
}

static void print_page(FILE *out, const struct explanation *ex)
{
        fputs("\n## tapline: ", out);
        print_markdown(out, *ex->summary.command != '\0' ? ex->summary.command : "relay");
        fprintf(out, "\n\n%zu connections, %zu requests, %zu good answers\n",
                ex->summary.connections, ex->summary.requests, ex->summary.responses_ok);
        for (size_t i = 0; i < ex->finding_count; i++)
                print_finding(out, &ex->findings[i]);
        if (ex->finding_count == 0 && ex->summary.status != 0)
                fputs("\ntapline does not know why it failed. What went wrong on the way:\n", out);
        if (ex->finding_count == 0)
                print_block(out, ex->seen, ex->seen_count);
}

/* Append the page to the runner's file, if there is one and the page is not too long. */
static int write_summary(const struct explanation *ex)
{
        const char *path = getenv("GITHUB_STEP_SUMMARY");
        char *text = NULL;
        size_t len = 0;
        FILE *page = path != NULL && *path != '\0' ? open_memstream(&text, &len) : NULL, *out;
        int result = 0;

        if (page == NULL)
                return 0;
        print_page(page, ex);
        if (fclose(page) != 0)
                result = -ENOMEM;
        out = result == 0 && len <= SUMMARY_MAX ? fopen(path, "ae") : NULL;
        if (out != NULL && fwrite(text, 1, len, out) != len)
                result = -EIO;
        if (out != NULL && fclose(out) != 0)
                result = -errno;
        if (out == NULL && result == 0 && len <= SUMMARY_MAX)
                result = -errno;
        free(text);
        return result;
}

int report_github(const struct explanation *ex, FILE *out)
{
        size_t shown[3] = {0};

        errno = 0;
        for (size_t i = 0; i < ex->finding_count; i++)
                if (shown[ex->findings[i].severity]++ < ANNOTATIONS_MAX)
                        annotate(out, &ex->findings[i]);
        if (ex->finding_count == 0 && ex->summary.status > 0)
                fputs("::notice title=tapline::tapline does not know why it failed\n", out);
        if (fflush(out) != 0 || ferror(out))
                return errno != 0 ? -errno : -EIO;
        return write_summary(ex);
}
