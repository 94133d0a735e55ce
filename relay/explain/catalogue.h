/* The package managers: cache directories, the variables that move them, defaults. Data from a
 * libconfig file (contrib/catalogue.conf, installed under share/tapline/; the user's own
 * catalogue.conf beside tapline.conf adds to it and overrides by name). */
#ifndef EXPLAIN_CATALOGUE_H
#define EXPLAIN_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

/* One directory that a tool keeps. */
struct catalogue_cache {
        const char **paths;   /* NULL-terminated: where it is; "~/" and "$VAR/" expanded at use */
        const char *variable; /* the remedy exports it; NULL: the tool has none */
        const char **also;    /* NULL-terminated or NULL: further variables for the same, of other
                               * versions of the tool */
        const char *option;   /* NULL, or what stands before the directory in variable ("-Dx.y=") */
        const char **harmless; /* NULL-terminated: names below it whose failure the tool ignores */
        bool optional;         /* the tool goes on without it */
};

/* A sentence with which a tool misleads. */
struct catalogue_claim {
        const char *says;   /* fnmatch pattern, anywhere in a line */
        const char *blames; /* what the reader will think: "network", "cache", "temp", "package" */
};

struct catalogue_tool {
        const char *name;       /* "poetry" */
        const char *title;      /* "Poetry" */
        const char **programs;  /* NULL-terminated fnmatch patterns: base names of argv[0], of a
                                 * script  or a module it runs */
        const char **variables; /* NULL-terminated: all that move its caches, to be recorded */
        const struct catalogue_cache *caches;
        size_t cache_count;
        const struct catalogue_claim *claims;
        size_t claim_count;
};

struct catalogue;

/* Load path (and user_path, if not NULL and existing). Returns 0, or -errno; on a syntax error or a
 * wrong value -EINVAL with "file:line: message" in *error (owned by the caller; error may be NULL).
 */
int catalogue_load(struct catalogue **out, const char *path, const char *user_path, char **error);
void catalogue_free(struct catalogue *cat);
size_t catalogue_count(const struct catalogue *cat);
const struct catalogue_tool *catalogue_get(const struct catalogue *cat, size_t i);

/* The tool whose programs match this base name, or NULL. */
const struct catalogue_tool *catalogue_find_program(const struct catalogue *cat, const char *base);

#endif
