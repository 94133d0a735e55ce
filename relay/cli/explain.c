/* tapline explain: what a finding means, from the table of findings. */
#include "cli/commands.h"
#include "explain/findings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 78, INDENT = 10 };

static void usage(FILE *out)
{
        fputs("usage: tapline explain [CODE]\n\n"
              "Tells what a finding means, when it is said, and what helps; without CODE, lists "
              "all.\n\n"
              "      --help  show this\n\n"
              "exit status: 0, or 2 when there is no such code.\n",
              out);
}

/* Print text after a label, broken into lines at blanks. */
static void print_wrapped(const char *label, const char *text)
{
        size_t column = INDENT;

        printf("%-*s", INDENT, label);
        while (*text != '\0') {
                size_t word = strcspn(text, " ");

                if (column > INDENT && column + 1 + word > WIDTH) {
                        printf("\n%*s", INDENT, "");
                        column = INDENT;
                } else if (column > INDENT) {
                        putchar(' ');
                        column++;
                }
                printf("%.*s", (int)word, text);
                column += word;
                text += word;
                text += strspn(text, " ");
        }
        putchar('\n');
}

static void print_explained(uint64_t codes)
{
        char text[FINDING_CODE_COUNT * 40] = "";

        for (unsigned code = 0; code < FINDING_CODE_COUNT; code++) {
                if ((codes & FINDING_BIT(code)) == 0)
                        continue;
                if (text[0] != '\0')
                        strcat(text, ", ");
                strcat(text, finding_kinds[code].code);
        }
        if (text[0] != '\0')
                print_wrapped("Not with", text);
}

static void explain_code(const struct finding_kind *kind)
{
        printf("%s (%s)\n\n", kind->code, severity_name(kind->severity));
        print_wrapped("What", kind->sentence);
        print_wrapped("Seen by", kind->needs);
        print_explained(kind->explained_by);
        print_wrapped("Fix", kind->advice);
        printf("%-*sdocs/findings/%s.md\n", INDENT, "Page", kind->code);
}

int command_explain(int argc, char **argv)
{
        enum finding_code code;

        if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
                usage(stdout);
                return EXIT_SUCCESS;
        }
        if (argc > 2) {
                usage(stderr);
                return EXIT_USAGE;
        }
        for (code = 0; argc == 1 && code < FINDING_CODE_COUNT; code++)
                printf("%-38s %s\n", finding_kinds[code].code, finding_kinds[code].sentence);
        if (argc == 1)
                return EXIT_SUCCESS;
        code = finding_find(argv[1]);
        if (code == FINDING_CODE_COUNT) {
                fprintf(stderr, "tapline: no finding is called '%s'; tapline explain lists them\n",
                        argv[1]);
                return EXIT_USAGE;
        }
        explain_code(&finding_kinds[code]);
        return EXIT_SUCCESS;
}
