/* Pipes for splicing; see pipe.h. */
#include "net/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
        PIPE_SIZE = 1 << 20, /* asked for; an unprivileged user's limit may give less (pipe(7)) */
        POOL_MAX = 64,       /* empty pipes kept for the next burst */
};

struct pipe_pool {
        struct pipe_pair *free; /* owned */
        size_t count;
        uint64_t max, made;
        uint64_t *all; /* those in use too; first's made, which all siblings count in */
};

struct pipe_pool *pipe_pool_new(uint64_t max)
{
        struct pipe_pool *pool = calloc(1, sizeof *pool);

        if (pool == NULL)
                return NULL;
        pool->max = max;
        pool->all = &pool->made;
        return pool;
}

struct pipe_pool *pipe_pool_sibling(struct pipe_pool *first)
{
        struct pipe_pool *pool = pipe_pool_new(first->max);

        if (pool != NULL)
                pool->all = first->all;
        return pool;
}

static void count(struct pipe_pool *pool, uint64_t change)
{
        __atomic_add_fetch(pool->all, change, __ATOMIC_RELAXED);
}

static void pipe_free(struct pipe_pool *pool, struct pipe_pair *p)
{
        close(p->read_end);
        close(p->write_end);
        free(p);
        count(pool, -UINT64_C(1));
}

uint64_t pipe_pool_count(const struct pipe_pool *pool)
{
        return __atomic_load_n(pool->all, __ATOMIC_RELAXED);
}

void pipe_pool_trim(struct pipe_pool *pool)
{
        while (pool->free != NULL) {
                struct pipe_pair *p = pool->free;

                pool->free = p->next;
                pipe_free(pool, p);
        }
        pool->count = 0;
}

void pipe_pool_free(struct pipe_pool *pool)
{
        if (pool != NULL)
                pipe_pool_trim(pool);
        free(pool);
}

struct pipe_pair *pipe_take(struct pipe_pool *pool)
{
        struct pipe_pair *p = pool->free;
        int ends[2], size;

        if (p != NULL) {
                pool->free = p->next;
                pool->count--;
                return p;
        }
        if (pipe_pool_count(pool) >= pool->max) {
                errno = EMFILE;
                return NULL;
        }
        p = calloc(1, sizeof *p);
        if (p == NULL || pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) {
                free(p);
                return NULL;
        }
        size = fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
        *p = (struct pipe_pair){.read_end = ends[0], .write_end = ends[1]};
        count(pool, 1);
        p->cap = size > 0 ? (size_t)size : 65536;
        return p;
}

void pipe_give(struct pipe_pool *pool, struct pipe_pair *p, bool empty)
{
        if (!empty || pool->count >= POOL_MAX) {
                pipe_free(pool, p);
                return;
        }
        p->next = pool->free;
        pool->free = p;
        pool->count++;
}
