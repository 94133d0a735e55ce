/* Pipes for splice(2), taken while bytes are under way and given back when there are none: an idle
 * tunnel holds no pipe. */
#ifndef NET_PIPE_H
#define NET_PIPE_H

#include <stdbool.h>
#include <stddef.h>

struct pipe_pair {
        int read_end, write_end; /* owned; non-blocking */
        size_t cap;              /* bytes it holds at most */
        struct pipe_pair *next;
};

struct pipe_pool;

/* Returns NULL when out of memory. Caller owns. */
struct pipe_pool *pipe_pool_new(void);
void pipe_pool_free(struct pipe_pool *pool); /* NULL allowed */

/* An empty pipe, the caller's until it is given back; NULL with errno. */
struct pipe_pair *pipe_take(struct pipe_pool *pool);
/* empty: nothing is left in it, so that it can serve again. */
void pipe_give(struct pipe_pool *pool, struct pipe_pair *p, bool empty);

#endif
