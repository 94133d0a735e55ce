/* How the looks of `tapline check` are shown: one line each, then what to do about the problems, in
 * the form of the other reports. */
#include "cli/check.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

static const char *const words[] = {
        [CHECK_OK] = "ok",
        [CHECK_WARNING] = "warning",
        [CHECK_PROBLEM] = "problem",
};

/* Paths may hold anything; what could drive a terminal does not get there. */
static void print_clean(FILE *out, const char *text)
{
        for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
                bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;

                putc(*c < 0x20 || *c == 0x7f || c1 ? '?' : *c, out);
                c += c1;
        }
}

static void print_lines(FILE *out, const char *indent, const struct text_list *lines)
{
        for (size_t i = 0; i < lines->count; i++) {
                fputs(indent, out);
                print_clean(out, lines->items[i]);
                putc('\n', out);
        }
}

static void print_item(FILE *out, const struct check_item *item)
{
        fprintf(out, "%-8s %-8s ", words[item->state], item->what);
        print_clean(out, item->detail != NULL ? item->detail : "");
        putc('\n', out);
}

static void print_remedy(FILE *out, const struct check_item *item)
{
        fprintf(out, "\n%s: ", item->state == CHECK_PROBLEM ? "Problem" : "Noticed");
        print_clean(out, item->detail != NULL ? item->detail : "");
        putc('\n', out);
        if (item->evidence.count > 0)
                fputs("Proof:\n", out);
        print_lines(out, "  ", &item->evidence);
        if (item->advice != NULL || item->commands.count > 0)
                fputs("Fix:", out);
        if (item->advice != NULL) {
                putc(' ', out);
                print_clean(out, item->advice);
        }
        if (item->advice != NULL || item->commands.count > 0)
                putc('\n', out);
        print_lines(out, "    ", &item->commands);
}

static void print_heading(const struct check *check, FILE *out)
{
        fputs("tapline check:", out);
        if (check->caches.tool_count == 0)
                fputs(" no package manager that the catalogue knows", out);
        for (size_t i = 0; i < check->caches.tool_count; i++)
                fprintf(out, "%s %s", i > 0 ? "," : "", check->caches.tools[i]->title);
        putc('\n', out);
}

static size_t count_of(const struct check *check, enum check_state state)
{
        size_t count = 0;

        for (size_t i = 0; i < check->count; i++)
                count += check->items[i].state == state;
        return count;
}

int check_report_text(const struct check *check, bool quiet, FILE *out)
{
        size_t problems = count_of(check, CHECK_PROBLEM), warnings = count_of(check, CHECK_WARNING);

        if (quiet && problems + warnings == 0)
                return 0;
        print_heading(check, out);
        for (size_t i = 0; i < check->count; i++)
                if (!quiet || check->items[i].state != CHECK_OK)
                        print_item(out, &check->items[i]);
        for (enum check_state state = CHECK_PROBLEM; state > CHECK_OK; state--)
                for (size_t i = 0; i < check->count; i++)
                        if (check->items[i].state == state)
                                print_remedy(out, &check->items[i]);
        return fflush(out) == 0 ? 0 : -errno;
}

static json_t *text(const char *value)
{
        json_t *string = value != NULL ? json_string(value) : json_null();

        return string != NULL ? string : json_string("?");
}

static json_t *lines(const struct text_list *list)
{
        json_t *array = json_array();

        for (size_t i = 0; array != NULL && i < list->count; i++)
                json_array_append_new(array, text(list->items[i]));
        return array;
}

int check_report_json(const struct check *check, FILE *out)
{
        json_t *tools = json_array(), *items = json_array(), *root;
        int result;

        for (size_t i = 0; i < check->caches.tool_count; i++)
                json_array_append_new(tools, text(check->caches.tools[i]->name));
        for (size_t i = 0; i < check->count; i++) {
                const struct check_item *item = &check->items[i];

                json_array_append_new(items,
                                      json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:{s:o}}", "check",
                                                item->what, "result", words[item->state], "code",
                                                text(item->code), "summary", text(item->detail),
                                                "evidence", lines(&item->evidence), "advice",
                                                text(item->advice), "remedy", "commands",
                                                lines(&item->commands)));
        }
        root = json_pack("{s:i, s:o, s:o}", "schema", 1, "tools", tools, "checks", items);
        errno = 0;
        result = root != NULL ? json_dumpf(root, out, JSON_INDENT(2)) : -1;
        json_decref(root);
        if (result < 0 || putc('\n', out) == EOF || fflush(out) != 0)
                return errno != 0 ? -errno : -EIO;
        return 0;
}
