/* Which name an address was looked up for: told by the library's lookups, asked by the flows. Keeps
 * the latest names only (bounded); a process's own lookup is preferred over another's. */
#ifndef NET_NAMES_H
#define NET_NAMES_H

#include "tapline_wire.h"

#include <sys/types.h>

struct name_table;

struct name_table *name_table_new(void);
void name_table_free(struct name_table *table);

void name_table_add(struct name_table *table, pid_t pid, const struct wire_addr *address,
                    const char *name);

/* The name that led to address, or NULL. Borrowed until the next add. */
const char *name_table_find(struct name_table *table, pid_t pid, const struct wire_addr *address);

#endif
