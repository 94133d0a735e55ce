/* tapline check: the things that are looked at before anything is run. Each look adds items; a
 * problem is one that would make an installation fail. check.c is the command, check_report.c
 * prints. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "cli/caches.h"
#include "cli/options.h"
#include "cli/way.h"
#include "explain/text.h"

enum check_state { CHECK_OK, CHECK_WARNING, CHECK_PROBLEM };

struct check_item {
        const char *what; /* static: "cache", "home", "proxy" */
        enum check_state state;
        const char *code;          /* static: of the finding, or NULL */
        char *detail;              /* owned; one sentence */
        char *advice;              /* owned or NULL */
        struct text_list evidence; /* owned */
        struct text_list commands; /* owned; to be pasted into a shell */
};

struct check {
        const struct catalogue *catalogue; /* borrowed */
        const struct options *options;
        const struct way *way;
        char *const *command; /* NULL: none was given */
        struct caches caches;
        struct check_item *items; /* owned */
        size_t count;
        bool oom;
};

/* Borrowed until the next call; NULL when out of memory. */
struct check_item *check_add(struct check *check, const char *what, enum check_state state,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
__attribute__((format(printf, 2, 3))) void check_advise(struct check_item *item, const char *format,
                                                        ...);

/* Let the rules explain events (JSON objects, taken over) of a command that failed by them, and add
 * what they find. Returns the item, or NULL if they find nothing. */
struct check_item *check_explain(struct check *check, const char *what, json_t *const events[],
                                 size_t count);

/* The looks, in the order of the report. */
void check_files(struct check *check);   /* home, temp and caches, their space */
void check_clock(struct check *check);   /* without asking anybody */
void check_names(struct check *check);   /* name servers */
void check_proxy(struct check *check);   /* of the options or the environment */
void check_trust(struct check *check);   /* bundles of certificates */
void check_preload(struct check *check); /* the library, in the command */

/* Print; quiet leaves out what is well. Return 0 or -errno of writing. */
int check_report_text(const struct check *check, bool quiet, FILE *out);
int check_report_json(const struct check *check, FILE *out);

#endif
