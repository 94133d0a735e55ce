/* The directories that package managers will use in this environment, by the catalogue, and whether
 * they can be used. For `tapline check` and `tapline run --fix`. */
#ifndef CLI_CACHES_H
#define CLI_CACHES_H

#include "cli/probe.h"
#include "explain/tools.h"

struct cache_place {
        const struct catalogue_tool *tool; /* borrowed from the catalogue */
        const struct catalogue_cache *cache;
        char *path; /* owned; absolute */
        struct probe probe;
};

struct caches {
        struct cache_place *places; /* owned */
        size_t count;
        const struct catalogue_tool **tools; /* owned list: those that were looked for */
        size_t tool_count;
        json_t *start; /* owned: what run.start would say of this environment */
};

/* Look at the caches of the tool that command (NULL-terminated; NULL: none) runs, or, where it is
 * none that the catalogue knows, of all that are found on PATH. Returns 0 or -ENOMEM. */
int caches_look(struct caches *out, const struct catalogue *catalogue, char *const command[]);
void caches_fini(struct caches *caches);

/* Would the tool fail, as it goes on without some of its caches? */
bool caches_is_fatal(const struct cache_place *place);

#endif
