/* Which package manager is at work, and whose cache a path lies in. Joins the catalogue with what a
 * record says of argv and environment. Used by facts.c and the rules about files. */
#ifndef EXPLAIN_TOOLS_H
#define EXPLAIN_TOOLS_H

#include "explain/catalogue.h"

#include <jansson.h>
#include <stdbool.h>

/* One directory of one tool, expanded for this run. */
struct tool_root {
        char *path;                        /* owned; absolute, without a slash at its end */
        const struct catalogue_tool *tool; /* borrowed from the catalogue */
        const struct catalogue_cache *cache;
};

struct tools {
        const struct catalogue *catalogue; /* borrowed, may be NULL */
        struct tool_root *roots;           /* owned */
        size_t root_count;
        char *shared; /* owned; where every program has a cache of its own, or NULL */
        char *home;   /* owned; absolute, or NULL */
        char *temp;   /* owned; for temporary files */
};

/* start is run.start or NULL. Returns 0 or -ENOMEM. */
int tools_init(struct tools *tools, const struct catalogue *catalogue, const json_t *start);
void tools_fini(struct tools *tools);

/* The tool that this argv (a JSON array of strings, or anything) runs, or NULL. */
const struct catalogue_tool *tools_of_argv(const struct tools *tools, const json_t *argv,
                                           const char *exe);

/* The cache that path lies in: of `tool` if it can be, else of any tool; NULL if in none. The
 * longest match wins. */
const struct tool_root *tools_root_of(const struct tools *tools, const struct catalogue_tool *tool,
                                      const char *path);

/* A root of this tool that lies below path, or NULL: to make path is to begin making the root. */
const struct tool_root *tools_root_below(const struct tools *tools,
                                         const struct catalogue_tool *tool, const char *path);

/* Length of the part of path up to a component that is called like a cache, or 0. What lies in the
 * shared ~/.cache is not meant: it is some other program's. */
size_t tools_cache_like_len(const struct tools *tools, const char *path);

/* True if path is the home directory, below it, or (so that it could not be made) above it. */
bool tools_is_in_home(const struct tools *tools, const char *path);

/* True if path is where temporary files are made and not, below that, in the home directory. */
bool tools_is_temporary(const struct tools *tools, const char *path);

/* True if path, below root, is something whose failure the tool ignores. */
bool tools_is_harmless(const struct tool_root *root, const char *path);

#endif
