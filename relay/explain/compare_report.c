/* Differences between two runs, for a person and for a program: see compare.h. */
#include "explain/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void print_run(FILE *out, const char *mark, const struct compared *run)
{
        const struct summary *s = &run->ex->summary;

        fprintf(out, "%s ", mark);
        text_print_clean(out, run->path);
        fputs(": ", out);
        text_print_clean(out, *s->command != '\0' ? s->command : "tapline relay");
        fprintf(out, " (%zu process%s, %zu connection%s, %zu request%s)\n", s->processes,
                s->processes == 1 ? "" : "es", s->connections, text_s(s->connections), s->requests,
                text_s(s->requests));
}

static void print_side(FILE *out, const char *mark, const struct text_list *values)
{
        for (size_t i = 0; i < values->count; i++) {
                fprintf(out, "    %s ", mark);
                text_print_clean(out, values->items[i]);
                putc('\n', out);
        }
}

int compare_text(const struct compared runs[2], const struct differences *differences, FILE *out)
{
        errno = 0;
        print_run(out, "<", &runs[0]);
        print_run(out, ">", &runs[1]);
        for (size_t i = 0; i < differences->count; i++) {
                const struct difference *d = &differences->items[i];

                if (i == 0 || d[-1].topic != d->topic)
                        fprintf(out, "\n%s%s\n", topic_kinds[d->topic].heading,
                                topic_kinds[d->topic].matters ? "" : " (may be harmless)");
                fputs("  ", out);
                text_print_clean(out, d->key);
                putc('\n', out);
                print_side(out, "<", &d->side[0]);
                print_side(out, ">", &d->side[1]);
        }
        if (!differences->matter)
                fprintf(out, "\n%s\n",
                        differences->count > 0 ? "None of these need matter." : "No difference.");
        return fflush(out) != 0 || ferror(out) ? errno != 0 ? -errno : -EIO : 0;
}

static json_t *values_json(const struct text_list *values)
{
        json_t *list = json_array();

        for (size_t i = 0; i < values->count; i++)
                json_array_append_new(list, text_json(values->items[i]));
        return list;
}

static json_t *run_json(const struct compared *run)
{
        return json_pack("{s:o, s:o}", "record", text_json(run->path), "command",
                         text_json(run->ex->summary.command));
}

int compare_json(const struct compared runs[2], const struct differences *differences, FILE *out)
{
        json_t *list = json_array(), *root;
        int result;

        for (size_t i = 0; i < differences->count; i++) {
                const struct difference *d = &differences->items[i];

                json_array_append_new(list, json_pack("{s:s, s:o, s:b, s:o, s:o}", "topic",
                                                      topic_kinds[d->topic].name, "key",
                                                      text_json(d->key), "matters",
                                                      topic_kinds[d->topic].matters, "first",
                                                      values_json(&d->side[0]), "second",
                                                      values_json(&d->side[1])));
        }
        root = json_pack("{s:i, s:o, s:o, s:b, s:o}", "schema", 1, "first", run_json(&runs[0]),
                         "second", run_json(&runs[1]), "differ", differences->matter, "differences",
                         list);
        if (root == NULL)
                return -ENOMEM;
        errno = 0;
        result = json_dumpf(root, out, JSON_INDENT(2));
        json_decref(root);
        if (result < 0 || putc('\n', out) == EOF || fflush(out) != 0)
                return errno != 0 ? -errno : -EIO;
        return 0;
}
