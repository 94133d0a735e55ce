/* Pipes for splice(2), taken while bytes are under way and given back when there are none: an idle
 * tunnel holds no pipe. */
#ifndef NET_PIPE_H
#define NET_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipe_pair {
        int read_end, write_end; /* owned; non-blocking */
        size_t cap;              /* bytes it holds at most */
        struct pipe_pair *next;
};

struct pipe_pool;

/* At most max pipes at a time. Returns NULL when out of memory. Caller owns. */
struct pipe_pool *pipe_pool_new(uint64_t max);
void pipe_pool_free(struct pipe_pool *pool); /* NULL allowed */

/* A pool of another thread that counts with first, which has to live longer: pipes may be given to
 * either. */
struct pipe_pool *pipe_pool_sibling(struct pipe_pool *first);

/* Pipes there are, in use or not; and give up those that are not. */
uint64_t pipe_pool_count(const struct pipe_pool *pool);
void pipe_pool_trim(struct pipe_pool *pool);

/* An empty pipe, the caller's until it is given back; NULL with errno (EMFILE at the maximum). */
struct pipe_pair *pipe_take(struct pipe_pool *pool);
/* empty: nothing is left in it, so that it can serve again. */
void pipe_give(struct pipe_pool *pool, struct pipe_pair *p, bool empty);

#endif
